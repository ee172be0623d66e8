# What the nano FC-CLIP was made for: a scene at 256 pixels, read whole.
protocol = dict(
    name='nano-whole-256',
    short_side=256,
    long_side=1024,
    interpolation='bilinear_antialias',
)
