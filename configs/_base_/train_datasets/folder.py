# Your own images and masks to train FC-CLIP's head on: a folder `images`, a folder `masks` with PNGs
# under the same names, and `classes.txt` with one class a line (synonyms behind it, separated by
# `;`).
_base_ = './panoptic.py'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
data_root = '{{$OVSEG_DATA:data}}/my_dataset'
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            type='FolderPanopticDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images', seg_map_path='masks'),
            classes='classes.txt',
            # What the masks hold: 'classes', 'instances' or 'segments', see
            # _base_/datasets/folder-panoptic.py.
            masks='classes',
            stuff=None,  # names of the classes whose regions are not told apart; None: there are none
        )))
