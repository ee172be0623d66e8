# MaskCLIP: in the last block each patch attends to itself alone.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='MaskCLIPAttention'),
    protocol=_base_.protocol,
)
