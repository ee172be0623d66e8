# Your own images: a folder `images`, a folder `masks` with PNGs of class indices under the same
# names, and `classes.txt` with one class a line (synonyms behind it, separated by `;`).
# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
data_root = '{{$OVSEG_DATA:data}}/my_dataset'
vocabulary = data_root + '/classes.txt'

# Images are resized by the model as its protocol says; masks are not resized.
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadMask'),
    dict(
        type='PackSegInputs',
        meta_keys=('img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'reduce_zero_label')),
]
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='FolderDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        classes='classes.txt',
        reduce_zero_label=False,  # True where 0 is void and classes count from 1
        ignore_index=255,  # void pixels; 65535 or -1 where there are more than 255 classes
        pipeline=test_pipeline,
        test_mode=True),
)
# absent: how classes count that the ground truth does not hold ('union', 'gt' or 'zero')
test_evaluator = dict(type='SegmentationScores', absent='union')
test_cfg = dict(type='TestLoop')
