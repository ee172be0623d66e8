# MaskCLIP: in the last block each patch attends to itself alone.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    # As later papers quote it: without the residual and the MLP, which the authors' code keeps.
    attention=dict(type='MaskCLIPAttention', residual=False, mlp=False),
    protocol=_base_.protocol,
)
