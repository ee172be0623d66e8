# Trident in the embedded nano world: nano CLIP, nano DINO and nano SAM.
_base_ = '../proxyclip/proxyclip_nano.py'

model = dict(
    encoders=dict(
        sam=dict(
            type='SAM',
            model='nano-sam-8',
            pretrained='ovseg',  # None: random weights
            image_size=256,  # it was trained at 192; masks are finer so
            weights=None,  # a local file, instead of `pretrained`
            precision='fp32',
        )),
    attention=dict(similarity='picture'),
    splice=True,
    aggregator=dict(type='SAMCorrelation', encoder='sam', cos_factor=1.2, multiple=8),
    # Scenes are smaller than photographs, and so are regions worth a prompt.
    refiner=dict(type='SAMRefiner', encoder='sam', minimal_area=64, multiple=8),
)
