# MaskCLIP: in the last block each patch attends to itself alone.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    # The nano CLIP was taught through its values alone (tools/nano/README.md); MaskCLIP's authors
    # keep the residual and the MLP of the block.
    attention=dict(type='MaskCLIPAttention', residual=False, mlp=False),
    protocol=_base_.protocol,
)
