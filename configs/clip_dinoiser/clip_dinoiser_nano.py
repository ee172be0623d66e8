# CLIP-DINOiser on the embedded nano CLIP: features averaged over the patches that correlate in a
# convolution of CLIP's own tokens, which was taught by the nano DINO.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
convolutions = dict(
    block=-3,
    width=192,
    dim=128,
    model='nano-dinoiser-8',
    pretrained='ovseg',  # None: random weights
    weights=None,  # a local file in the layout of the authors' checkpoint
)
model = dict(
    # Without the residual and the MLP, which the authors' code keeps: the nano CLIP's patches were
    # taught without.
    attention=dict(type='MaskCLIPAttention', residual=False, mlp=False),
    aggregator=dict(
        type='CorrelationPooling',
        gamma=0.5,
        guide=dict(type='DINOiserGuide', **convolutions)),
    # Which patches show a thing; counts only where a protocol sets foreground_threshold.
    foreground=dict(type='DINOiserForeground', **convolutions),
    protocol=_base_.protocol,
)
