# CLIP as it is, its patch tokens read densely: the baseline of all training-free methods.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='PlainAttention'),
    protocol=_base_.protocol,
)
