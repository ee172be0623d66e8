# SCLIP with CLIP ViT-L/14.
_base_ = [
    '../_base_/models/clip_vit-l14.py',
    '../_base_/protocols/sclip-336.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='SCLIPAttention'),
    protocol=_base_.protocol,
)
