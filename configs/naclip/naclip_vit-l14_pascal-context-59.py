# NACLIP with CLIP ViT-L/14 on pascal-context-59.
_base_ = ['./naclip_vit-l14.py', '../_base_/datasets/pascal-context-59.py']
model = dict(
    vocabulary='pascal-context-59/naclip',  # the class file of the protocol
)
