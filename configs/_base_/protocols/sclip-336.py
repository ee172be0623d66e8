# The evaluation of SCLIP (Wang et al., 2024), which most training-free papers use since:
# short side 336, windows of 224 every 112 pixels, softmax over queries with scale 40.
# Sets with a background, COCO-Stuff and Cityscapes override single numbers in their configs.
protocol = dict(
    name='sclip-336',
    short_side=336,
    long_side=2048,
    crop=224,
    stride=112,
    logit_scale=40,
)
