# ClearCLIP: patches attend to patches of alike q; no residual and no MLP in the last block.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='ClearCLIPAttention'),
    protocol=_base_.protocol,
)
