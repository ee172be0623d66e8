# CLIP-DINOiser's teacher: features averaged over the patches whose DINO values correlate.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    encoders=dict(dino=dict(type='DINO', model='nano-dino-4', pretrained='ovseg')),
    # The nano CLIP was taught through its values alone (tools/nano/README.md).
    attention=dict(type='MaskCLIPAttention', residual=False, mlp=False),
    aggregator=dict(
        type='CorrelationPooling',
        gamma=0.2,
        guide=dict(type='DINOGuide', encoder='dino', feature='v')),
    protocol=_base_.protocol,
)
