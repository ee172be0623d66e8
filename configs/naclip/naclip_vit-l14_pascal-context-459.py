# NACLIP with CLIP ViT-L/14 on pascal-context-459.
# The authors have no config for this set: the default numbers of the protocol.
_base_ = ['./naclip_vit-l14.py', '../_base_/datasets/pascal-context-459.py']
model = dict(
    vocabulary='pascal-context-459/proxyclip',  # ProxyCLIP's list
)
