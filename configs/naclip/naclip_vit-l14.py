# NACLIP with CLIP ViT-L/14.
_base_ = [
    '../_base_/models/clip_vit-l14.py',
    '../_base_/protocols/sclip-336.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='NACLIPAttention', std=5.0),
    refiner=dict(type='PAMR', iterations=10, dilations=(8, 16)),
    protocol=_base_.protocol,
)
