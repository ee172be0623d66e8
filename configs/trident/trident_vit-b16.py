# Trident with CLIP ViT-B/16, DINO ViT-B/16 and SAM ViT-B.
_base_ = [
    '../_base_/models/clip_vit-b16.py',
    '../_base_/protocols/trident-576.py',
    '../_base_/default_runtime.py',
]
model = dict(
    encoders=dict(
        dino=dict(type='DINO', model='vit_base_patch16_224', pretrained='dino'),
        sam=dict(type='SAM', model='vit_b', pretrained='sa1b'),
    ),
    # read: patches attend to those that DINO finds alike, above the mean over all windows
    attention=dict(type='ProxyAttention', beta=1.2, gamma=3.0, similarity='picture'),
    guide=dict(type='DINOGuide', encoder='dino', feature='tokens'),
    # join: features of all windows on one grid, averaged over what SAM takes for one
    splice=True,
    aggregator=dict(
        type='SAMCorrelation',
        encoder='sam',
        cos_factor=1.2,
        mend_negative=False,
        halves=False,  # True: wide pictures enter SAM in two halves
        multiple=16,  # the patch of CLIP; the refiner's should be the same
    ),
    # refine: coarse regions as prompts of SAM; None leaves the labels as they are
    refiner=dict(
        type='SAMRefiner',
        encoder='sam',
        coarse_threshold=0.2,
        minimal_area=225,
        iou_threshold=0.8,
        mask_scale=0.005,
        multiple=16,
    ),
    protocol=_base_.protocol,
)
