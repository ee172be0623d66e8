# Train the nano CLIP by CLIPSelf on a folder of your own images, in minutes.
_base_ = './clipself_nano_scenes_train.py'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='ImageFolder',
            data_root='{{$OVSEG_DATA:data}}/my_dataset/images',
            img_path='.',
            pipeline=[
                dict(type='LoadImage'),
                dict(type='GridBoxes', max_split=6, max_boxes=12),
                dict(type='PackRegions', size=192, crop_size=64, context=1.0),
            ])))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=20, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0.0, begin=20, end=200, by_epoch=False),
]
train_cfg = dict(max_iters=200)
