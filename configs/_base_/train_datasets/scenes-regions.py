# Procedural scenes without any label: cells of random grids and their crops.
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
            size=192,
            num_things=(1, 5),
            test_mode=False,
            pipeline=[
                dict(type='RenderScene'),
                dict(type='GridBoxes', max_split=6, max_boxes=12),
                dict(type='PackRegions', size=192, crop_size=64, context=1.0),
            ])),
)
