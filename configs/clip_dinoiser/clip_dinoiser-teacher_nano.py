# CLIP-DINOiser's teacher: the embedded nano CLIP's features averaged over the patches whose values
# in the nano DINO correlate.
_base_ = [
    '../_base_/models/clip_nano_dino.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    # Without the residual and the MLP, which the authors' code keeps: the nano CLIP's patches were
    # taught without.
    attention=dict(type='MaskCLIPAttention', residual=False, mlp=False),
    # Windows enlarged: both have patches of 8. And the nano DINO's cosines differ less than a real
    # one's (published: 0.2).
    aggregator=dict(
        type='CorrelationPooling',
        gamma=0.8,
        guide=dict(type='DINOGuide', encoder='dino', feature='v', scale=2)),
    protocol=_base_.protocol,
)
