# ClearCLIP with CLIP ViT-B/16 on cityscapes-19.
_base_ = ['./clearclip_vit-b16.py', '../_base_/datasets/cityscapes-19.py']
model = dict(
    vocabulary='cityscapes-19/clearclip',  # the class file of the protocol
    protocol=dict(crop=224),
)
