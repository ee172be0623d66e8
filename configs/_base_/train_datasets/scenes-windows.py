# Windows of 64 pixels of procedural scenes at 128, as the protocol nano-128 reads them; of the
# ground truth nothing is read. An endless supply: none is in another split.
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(
        type='SeededSamples',
        dataset=dict(
            type='ScenesDataset',
            split='train',
            length=100000,
            size=128,
            num_things=(1, 4),
            test_mode=False,
            pipeline=[
                dict(type='RenderScene'),
                dict(type='ClassAreaCrop', size=64),
                dict(type='RandomMirror'),
                dict(type='RandomBrightness', amount=0.5),
                dict(type='PackSegInputs', meta_keys=('img_path', 'ori_shape', 'img_shape')),
            ])),
)
