# The evaluation of Trident (Shi et al., 2025) on ADE20K-150, PASCAL Context 59 and 60:
# short side 576, windows of 336 every 224 pixels, softmax over queries with scale 40.
protocol = dict(
    name='trident-576',
    short_side=576,
    long_side=2048,
    crop=336,
    stride=224,
    logit_scale=40,
)
