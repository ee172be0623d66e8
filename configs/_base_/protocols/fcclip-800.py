# The evaluation of FC-CLIP (detectron2's default): images are read whole at short side 800, the long
# side at most 1333. Cityscapes: 1024 and 2560.
protocol = dict(
    name='fcclip-800',
    short_side=800,
    long_side=1333,
    interpolation='bilinear_antialias',
)
