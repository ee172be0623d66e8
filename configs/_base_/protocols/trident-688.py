# The evaluation of Trident (Shi et al., 2025) on Cityscapes:
# short side 688, windows of 336 every 224 pixels, softmax over queries with scale 40.
protocol = dict(
    name='trident-688',
    short_side=688,
    long_side=2048,
    crop=336,
    stride=224,
    logit_scale=40,
)
