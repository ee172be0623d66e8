# Procedural scenes to train on: an endless supply, drawn as they are needed; none is in another
# split.
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(
        type='SeededSamples',
        dataset=dict(
            type='ScenesDataset',
            split='train',
            length=100000,
            size=224,
            num_things=(1, 5),
            test_mode=False,
            pipeline=[
                dict(type='RenderScene', panoptic=True),
                dict(type='RandomMirror'),
                # Cut from up to 320 pixels, or padded from 128 on.
                dict(type='LargeScaleJitter', size=160, scale=(0.8, 2.0)),
                dict(type='PackSegments', least=4),
            ])),
)
