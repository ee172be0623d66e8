# The evaluation of Trident (Shi et al., 2025) on PASCAL VOC without background:
# short side 336, windows of 336 every 112 pixels, softmax over queries with scale 40.
protocol = dict(
    name='trident-336',
    short_side=336,
    long_side=2048,
    crop=336,
    stride=112,
    logit_scale=40,
)
