# FC-CLIP as published, without its CLIP: the sizes of what is trained and the rules of inference.
model = dict(
    type='FCCLIP',
    pixel_decoder=dict(
        type='DeformablePixelDecoder',
        dim=256,
        mask_dim=256,
        layers=6,  # of deformable attention among the maps at strides 32, 16 and 8
        heads=8,
        points=4,
        feedforward=1024,
        dropout=0.0,
    ),
    decoder=dict(
        type='MaskTransformer',
        dim=256,
        queries=250,
        layers=9,
        heads=8,
        feedforward=2048,
    ),
    criterion=None,  # set by the configs that train
    train_vocabulary='coco-panoptic-133/fcclip',  # classes that share a word with it are "seen"
    templates='vild14',
    alpha=0.4,  # weight of the frozen CLIP's opinion on seen classes
    beta=0.8,  # and on others
    valid_only=False,  # True: not where a mask holds no position of CLIP's last map
    object_threshold=0.0,  # panoptic: masks whose class is no more probable are left out
    overlap_threshold=0.8,  # panoptic: masks that keep a smaller share of themselves are dropped
    max_instances=100,  # instance: pairs of mask and class that are considered
    tasks=('semantic', 'panoptic', 'instance'),  # what one pass gives
    band_bytes=64 * 2**20,  # memory for masks at the size of the image
)
