# CLIP-DINOiser with CLIP ViT-B/16 on ade20k-847.
# The authors have no config for this set: the default numbers of the protocol.
_base_ = ['./clip_dinoiser_vit-b16.py', '../_base_/datasets/ade20k-847.py']
model = dict(
    vocabulary='ade20k-847/dataset',  # the set's own names
)
