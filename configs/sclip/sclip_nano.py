# SCLIP: in the last block patches attend to patches of alike q and of alike k.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='SCLIPAttention'),
    protocol=_base_.protocol,
)
