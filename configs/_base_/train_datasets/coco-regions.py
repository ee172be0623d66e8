# COCO train2017 (118,287 images) without any annotation: cells of random grids and their crops.
train_dataloader = dict(
    batch_size=16,  # of one process; divide by their number (published: 8 processes of 2)
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(
        type='SeededSamples',
        # The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
        dataset=dict(
            type='ImageFolder',
            data_root='{{$OVSEG_DATA:data}}/coco',
            img_path='train2017',
            pipeline=[
                dict(type='LoadImage'),
                dict(type='GridBoxes', max_split=6, max_boxes=20),
                dict(type='PackRegions', size=1024, crop_size=224, context=1.0),
            ])),
)
