# Your own images and segments: a folder `images`, a folder `masks` with PNGs under the same names,
# and `classes.txt` with one class a line (synonyms behind it, separated by `;`).
_base_ = '../panoptic.py'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
data_root = '{{$OVSEG_DATA:data}}/my_dataset'
vocabulary = data_root + '/classes.txt'

test_dataloader = dict(
    dataset=dict(
        type='FolderPanopticDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        classes='classes.txt',
        # What the masks hold:
        # 'segments': RGB PNGs of segment ids (R + 256 G + 256^2 B), and a JSON file that lists
        #     the segments in COCO's panoptic layout;
        # 'instances': 16-bit PNGs of 1000 * class + instance, instance 0 for stuff, 65535 is void;
        # 'classes': PNGs of class indices, where each connected region of a thing is one.
        masks='segments',
        segments_file='segments.json',
        stuff=None,  # names of the stuff classes; None: as the JSON file says, else none
    ))
