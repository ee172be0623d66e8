# What the nano FC-CLIP was made for: a scene at 192 pixels, read whole.
protocol = dict(
    name='nano-whole-192',
    short_side=192,
    long_side=1024,
    interpolation='bilinear_antialias',
)
