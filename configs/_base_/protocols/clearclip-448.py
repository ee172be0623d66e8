# The evaluation of ClearCLIP's public code (Lan et al., 2024): short side 448, windows of 448 every
# 224 pixels, softmax over queries with scale 50. Cityscapes overrides the crop in its config. Its
# published numbers are usually quoted beside those of `sclip-336`.
protocol = dict(
    name='clearclip-448',
    short_side=448,
    long_side=2048,
    crop=448,
    stride=224,
    logit_scale=50,
)
