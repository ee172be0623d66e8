# Train the nano FC-CLIP's head on a folder of your own images and masks.
_base_ = ['./fcclip_nano_scenes_train.py']

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
data_root = '{{$OVSEG_DATA:data}}/my_dataset'
model = dict(train_vocabulary=data_root + '/classes.txt')
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='FolderPanopticDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images', seg_map_path='masks'),
            classes='classes.txt',
            masks='classes',  # 'instances' or 'segments', see _base_/datasets/folder-panoptic.py
            stuff=None,  # names of the classes whose regions are not told apart; None: there are none
            pipeline=[
                dict(type='LoadImage'),
                dict(type='LoadPanoptic'),
                dict(type='RandomMirror'),
                dict(type='LargeScaleJitter', size=160, scale=(0.75, 1.5)),
                dict(type='PackSegments', least=4),
            ])))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=1e-5, begin=100, end=500, by_epoch=False),
]
train_cfg = dict(max_iters=500)
