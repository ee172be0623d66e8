# A thousand images of ImageNet, of which no label is read; any folder of photographs will do.
train_dataloader = dict(
    batch_size=16,  # of one process; divide by their number
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(
        type='SeededSamples',
        dataset=dict(
            type='ImageFolder',
            # The folder of all datasets is `data`, or what the environment variable OVSEG_DATA
            # says.
            data_root='{{$OVSEG_DATA:data}}/imagenet/train',
            length=1000,  # None: all of them
            seed=0,  # which ones
            pipeline=[
                dict(type='LoadImage'),
                dict(type='ResizeShortSide', sides=[448], longest=100000),
                dict(type='ClassAreaCrop', size=448),
                dict(type='RandomMirror'),
                dict(type='RandomBrightness', amount=0.5),
                dict(type='PackSegInputs', meta_keys=('img_path', 'ori_shape', 'img_shape')),
            ])),
)
