# Your own images and masks to train FC-CLIP's head on: a folder `images`, a folder `masks` with PNGs
# under the same names, and `classes.txt` with one class a line (synonyms behind it, separated by
# `;`).

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
data_root = '{{$OVSEG_DATA:data}}/my_dataset'
train_dataloader = dict(
    batch_size=16,  # of one process; divide by their number
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(
        type='SeededSamples',
        dataset=dict(
            type='FolderPanopticDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images', seg_map_path='masks'),
            classes='classes.txt',
            # What the masks hold: 'classes', 'instances' or 'segments', see
            # _base_/datasets/folder-panoptic.py.
            masks='classes',
            stuff=None,  # names of the classes whose regions are not told apart; None: there are none
            pipeline=[
                dict(type='LoadImage'),
                dict(type='LoadPanoptic'),
                dict(type='RandomMirror'),
                dict(type='LargeScaleJitter', size=1024, scale=(0.1, 2.0)),
                dict(type='PackSegments'),
            ])),
)
