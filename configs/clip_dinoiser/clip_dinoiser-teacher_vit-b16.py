# CLIP-DINOiser's teacher: MaskCLIP's features averaged over the patches whose DINO values
# correlate. DINO runs at inference; nothing was taught.
_base_ = [
    '../_base_/models/clip_vit-b16-laion2b.py',
    '../_base_/protocols/tcl-448.py',
    '../_base_/default_runtime.py',
]
model = dict(
    encoders=dict(
        dino=dict(
            type='DINO',
            model='vit_base_patch16_224',
            pretrained='dino',  # None: random weights
            weights=None,  # a local file, instead of `pretrained`
            precision='fp32',
        )),
    attention=dict(type='MaskCLIPAttention', residual=True, mlp=True),
    aggregator=dict(
        type='CorrelationPooling',
        gamma=0.2,
        guide=dict(type='DINOGuide', encoder='dino', feature='v')),
    protocol=_base_.protocol,
)
