# MaskCLIP with CLIP ViT-B/16 on pascal-context-459.
# The protocol has no config for this set: its default numbers.
_base_ = ['./maskclip_vit-b16.py', '../_base_/datasets/pascal-context-459.py']
model = dict(
    vocabulary='pascal-context-459/proxyclip',  # ProxyCLIP's list
)
