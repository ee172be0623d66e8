# NACLIP: patches attend to patches of alike k and to those nearby; no residual, no MLP.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='NACLIPAttention', std=5.0),
    refiner=dict(type='PAMR', iterations=10, dilations=(8, 16)),
    protocol=_base_.protocol,
)
