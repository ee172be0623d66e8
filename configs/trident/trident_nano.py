# Trident in the embedded nano world: nano CLIP, nano DINO and nano SAM.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    encoders=dict(
        dino=dict(type='DINO', model='nano-dino-4', pretrained='ovseg'),
        sam=dict(type='SAM', model='nano-sam-8', pretrained='ovseg'),
    ),
    attention=dict(type='ProxyAttention', beta=1.2, gamma=3.0, similarity='picture'),
    guide=dict(type='DINOGuide', encoder='dino', feature='tokens'),
    splice=True,
    aggregator=dict(type='SAMCorrelation', encoder='sam', cos_factor=1.2, multiple=8),
    # scenes are smaller than photographs, and so are regions worth a prompt
    refiner=dict(type='SAMRefiner', encoder='sam', minimal_area=64, multiple=8),
    protocol=_base_.protocol,
)
