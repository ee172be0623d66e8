# The evaluation of Trident (Shi et al., 2025) on VOC 21, COCO-Stuff, COCO-Object, and the large vocabularies:
# short side 448, windows of 336 every 224 pixels, softmax over queries with scale 40.
protocol = dict(
    name='trident-448',
    short_side=448,
    long_side=2048,
    crop=336,
    stride=224,
    logit_scale=40,
)
