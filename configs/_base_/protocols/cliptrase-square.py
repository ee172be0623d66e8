# The evaluation of CLIPtrase (Shao et al., 2024): image and ground truth are brought to a short side
# of 336 (or 224) and cut to the square in their middle, which is read whole and scored at that size.
# Numbers made so are not comparable with those of other protocols. A picture without ground truth
# is not cut.
protocol = dict(
    name='cliptrase-square',
    short_side=336,
    long_side=2048,
    interpolation='bicubic',  # of Pillow, as torchvision resizes images
    square=True,
    crop=None,
    stride=None,
    logit_scale=None,  # the tower's own
)
