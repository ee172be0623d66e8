# What the nano models were made for: a scene at 128 pixels, read in windows of 64, the size they
# were trained at.
protocol = dict(
    name='nano-128',
    short_side=128,
    long_side=1024,
    crop=64,
    stride=32,
    logit_scale=40,
)
