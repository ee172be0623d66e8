# ClearCLIP with CLIP ViT-L/14.
_base_ = [
    '../_base_/models/clip_vit-l14.py',
    '../_base_/protocols/clearclip-448.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='ClearCLIPAttention'),
    protocol=_base_.protocol,
)
