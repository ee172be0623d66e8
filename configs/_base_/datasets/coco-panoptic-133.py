# COCO panoptic ground truth as 133 semantic classes, val2017 (5000 images).
vocabulary = 'coco-panoptic-133'

# The folder of all datasets is `data`, or what the environment variable OVSEG_DATA says.
data_root = '{{$OVSEG_DATA:data}}/coco'

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
    dataset=dict(type='COCOPanoptic133', data_root=data_root, pipeline=test_pipeline, test_mode=True),
)
# absent: how classes count that the ground truth does not hold ('union', 'gt' or 'zero')
test_evaluator = dict(type='SegmentationScores', absent='union')
test_cfg = dict(type='TestLoop')
