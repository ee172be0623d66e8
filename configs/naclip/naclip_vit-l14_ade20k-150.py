# NACLIP with CLIP ViT-L/14 on ade20k-150.
_base_ = ['./naclip_vit-l14.py', '../_base_/datasets/ade20k-150.py']
model = dict(
    vocabulary='ade20k-150/naclip',  # the class file of the protocol
)
