# SCLIP with CLIP ViT-L/14 on ade20k-150.
_base_ = ['./sclip_vit-l14.py', '../_base_/datasets/ade20k-150.py']
model = dict(
    vocabulary='ade20k-150/sclip',  # the class file of the protocol
)
