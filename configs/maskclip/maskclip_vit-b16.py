# MaskCLIP: in the last block each patch attends to itself alone.
_base_ = [
    '../_base_/models/clip_vit-b16.py',
    '../_base_/protocols/sclip-336.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='MaskCLIPAttention'),
    protocol=_base_.protocol,
)
