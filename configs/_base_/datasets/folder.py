# Your own images: a folder `images`, a folder `masks` with PNGs of class indices under the same
# names, and `classes.txt` with one class a line (synonyms behind it, separated by `;`).
_base_ = '../benchmark.py'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
data_root = '{{$OVSEG_DATA:data}}/my_dataset'
vocabulary = data_root + '/classes.txt'

test_dataloader = dict(
    dataset=dict(
        type='FolderDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        classes='classes.txt',
        reduce_zero_label=False,  # True where 0 is void and classes count from 1
        ignore_index=255,  # void pixels; 65535 or -1 where there are more than 255 classes
    ))
