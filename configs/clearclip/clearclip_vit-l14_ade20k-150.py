# ClearCLIP with CLIP ViT-L/14 on ade20k-150.
_base_ = ['./clearclip_vit-l14.py', '../_base_/datasets/ade20k-150.py']
model = dict(
    vocabulary='ade20k-150/clearclip',  # the class file of the protocol
)
