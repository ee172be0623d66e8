# ClearCLIP with CLIP ViT-L/14 on voc-20.
_base_ = ['./clearclip_vit-l14.py', '../_base_/datasets/voc-20.py']
model = dict(
    vocabulary='voc-20/clearclip',  # the class file of the protocol
)
