# ClearCLIP with CLIP ViT-B/16 on ade20k-150.
_base_ = ['./clearclip_vit-b16.py', '../_base_/datasets/ade20k-150.py']
model = dict(
    vocabulary='ade20k-150/clearclip',  # the class file of the protocol
)
