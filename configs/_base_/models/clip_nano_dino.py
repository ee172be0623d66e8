# The embedded nano CLIP with the embedded nano DINO beside it.
_base_ = './clip_nano.py'

model = dict(
    encoders=dict(
        dino=dict(
            type='DINO',
            model='nano-dino-8',
            pretrained='ovseg',  # None: random weights
            weights=None,  # a local file, instead of `pretrained`
            precision='fp32',
        )))
