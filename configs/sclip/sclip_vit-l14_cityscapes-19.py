# SCLIP with CLIP ViT-L/14 on cityscapes-19.
_base_ = ['./sclip_vit-l14.py', '../_base_/datasets/cityscapes-19.py']
model = dict(
    vocabulary='cityscapes-19/sclip',  # the class file of the protocol
    protocol=dict(short_side=560),
)
