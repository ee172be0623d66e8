# Panoptic truth with large-scale jitter as FC-CLIP is trained on; the dataset is still to be named.
train_dataloader = dict(
    batch_size=16,  # of one process; divide by their number
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(
        type='SeededSamples',
        dataset=dict(
            pipeline=[
                dict(type='LoadImage'),
                dict(type='LoadPanoptic'),
                dict(type='RandomMirror'),
                dict(type='LargeScaleJitter', size=1024, scale=(0.1, 2.0)),
                dict(type='PackSegments'),
            ])),
)
