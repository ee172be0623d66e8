# ProxyCLIP: DINO says which patches belong together, CLIP's values say what they are.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    encoders=dict(dino=dict(type='DINO', model='nano-dino-4', pretrained='ovseg')),
    guide=dict(type='DINOGuide', encoder='dino', feature='tokens'),
    attention=dict(type='ProxyAttention', beta=1.2, gamma=3.0),
    protocol=_base_.protocol,
)
