# SCLIP with CLIP ViT-L/14 on ade20k-847.
# The authors have no config for this set: the default numbers of the protocol.
_base_ = ['./sclip_vit-l14.py', '../_base_/datasets/ade20k-847.py']
model = dict(
    vocabulary='ade20k-847/proxyclip',  # ProxyCLIP's list
)
