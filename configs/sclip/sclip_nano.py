# SCLIP: in the last block patches attend to patches of alike q and of alike k.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    # The nano CLIP was taught through its values alone (tools/nano/README.md); the authors keep the
    # residual and the MLP of the block.
    attention=dict(type='SCLIPAttention', residual=False, mlp=False),
    protocol=_base_.protocol,
)
