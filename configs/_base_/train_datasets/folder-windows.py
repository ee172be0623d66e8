# Your own images for the nano models, which read windows of 64 pixels; no label is read.
_base_ = './folder-images.py'

train_dataloader = dict(
    num_workers=1,
    pin_memory=False,
    dataset=dict(
        dataset=dict(
            pipeline=[
                dict(type='LoadImage'),
                dict(type='ResizeShortSide', sides=[128], longest=100000),
                dict(type='ClassAreaCrop', size=64),
                dict(type='RandomMirror'),
                dict(type='RandomBrightness', amount=0.5),
                dict(type='PackSegInputs', meta_keys=('img_path', 'ori_shape', 'img_shape')),
            ])),
)
