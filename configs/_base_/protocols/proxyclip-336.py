# The evaluation of ProxyCLIP (Lan et al., 2024): short side 336, windows of 336 every 112 pixels,
# softmax over queries with scale 40. Sets with a background override prob_threshold in their
# configs; ADE20K, Cityscapes, ADE20K-847 and Pascal Context 459 use `proxyclip-448`.
protocol = dict(
    name='proxyclip-336',
    short_side=336,
    long_side=2048,
    crop=336,
    stride=112,
    logit_scale=40,
)
