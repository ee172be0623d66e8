# ClearCLIP with CLIP ViT-B/16 on pascal-context-459.
# The authors have no config for this set: the default numbers of the protocol.
_base_ = ['./clearclip_vit-b16.py', '../_base_/datasets/pascal-context-459.py']
model = dict(
    vocabulary='pascal-context-459/proxyclip',  # ProxyCLIP's list
)
