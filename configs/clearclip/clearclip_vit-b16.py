# ClearCLIP: patches attend to patches of alike q; no residual and no MLP in the last block.
_base_ = [
    '../_base_/models/clip_vit-b16.py',
    '../_base_/protocols/clearclip-448.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='ClearCLIPAttention'),
    protocol=_base_.protocol,
)
