# SCLIP with CLIP ViT-B/16 on ade20k-847.
# The authors have no config for this set: the default numbers of the protocol.
_base_ = ['./sclip_vit-b16.py', '../_base_/datasets/ade20k-847.py']
model = dict(
    vocabulary='ade20k-847/proxyclip',  # ProxyCLIP's list
)
