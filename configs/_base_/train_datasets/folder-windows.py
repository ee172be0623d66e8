# Your own images for the nano models, which read windows of 64 pixels; no label is read.
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(
        type='SeededSamples',
        dataset=dict(
            type='ImageFolder',
            # The folder of all datasets is `data`, or what the environment variable OVSEG_DATA
            # says.
            data_root='{{$OVSEG_DATA:data}}/my_dataset/images',
            pipeline=[
                dict(type='LoadImage'),
                dict(type='ResizeShortSide', sides=[128], longest=100000),
                dict(type='ClassAreaCrop', size=64),
                dict(type='RandomMirror'),
                dict(type='RandomBrightness', amount=0.5),
                dict(type='PackSegInputs', meta_keys=('img_path', 'ori_shape', 'img_shape')),
            ])),
)
