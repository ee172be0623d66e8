# CLIP-DINOiser: MaskCLIP's features averaged over the patches that correlate in a convolution of
# CLIP's own tokens, which was taught by DINO.
_base_ = [
    '../_base_/models/clip_vit-b16-laion2b.py',
    '../_base_/protocols/tcl-448.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='MaskCLIPAttention', residual=True, mlp=True),
    aggregator=dict(
        type='CorrelationPooling',
        gamma=0.2,
        guide=dict(
            type='DINOiserGuide',
            block=-3,
            pretrained='authors',  # None: random weights
            weights=None,  # a local file in the layout of the authors' checkpoint
        )),
    # Which patches show a thing; counts only where a protocol sets foreground_threshold.
    foreground=dict(type='DINOiserForeground', block=-3, pretrained='authors', weights=None),
    protocol=_base_.protocol,
)
