# COCO panoptic, train2017 (118,287 images), with large-scale jitter as published.
train_dataloader = dict(
    batch_size=16,  # of one process; divide by their number
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(
        type='SeededSamples',
        # The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
        dataset=dict(
            type='COCOPanoptic133',
            data_root='{{$OVSEG_DATA:data}}/coco',
            ann_file='annotations/panoptic_train2017.json',
            pipeline=[
                dict(type='LoadImage'),
                dict(type='LoadPanoptic'),
                dict(type='RandomMirror'),
                dict(type='LargeScaleJitter', size=1024, scale=(0.1, 2.0)),
                dict(type='PackSegments'),
            ])),
)
