# NACLIP with CLIP ViT-L/14 on voc-20.
_base_ = ['./naclip_vit-l14.py', '../_base_/datasets/voc-20.py']
model = dict(
    vocabulary='voc-20/naclip',  # the class file of the protocol
    protocol=dict(crop=None, stride=None),  # read whole
)
