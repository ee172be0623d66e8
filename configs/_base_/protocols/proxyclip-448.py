# ProxyCLIP's evaluation on sets of larger pictures: as `proxyclip-336` with short side 448.
# Cityscapes overrides the crop in its config.
protocol = dict(
    name='proxyclip-448',
    short_side=448,
    long_side=2048,
    crop=336,
    stride=112,
    logit_scale=40,
)
