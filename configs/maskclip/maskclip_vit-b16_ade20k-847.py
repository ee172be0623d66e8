# MaskCLIP with CLIP ViT-B/16 on ade20k-847.
# The protocol has no config for this set: its default numbers.
_base_ = ['./maskclip_vit-b16.py', '../_base_/datasets/ade20k-847.py']
model = dict(
    vocabulary='ade20k-847/proxyclip',  # ProxyCLIP's list
)
