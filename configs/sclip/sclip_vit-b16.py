# SCLIP: in the last block patches attend to patches of alike q and of alike k.
_base_ = [
    '../_base_/models/clip_vit-b16.py',
    '../_base_/protocols/sclip-336.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='SCLIPAttention'),
    protocol=_base_.protocol,
)
