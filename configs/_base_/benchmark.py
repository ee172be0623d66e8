# What the configs of all datasets share: one pass over a test set. A dataset's own config inherits
# this file and says its type, its place and its vocabulary.
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        # Images are resized by the model as its protocol says; masks are not resized.
        pipeline=[
            dict(type='LoadImage'),
            dict(type='LoadMask'),
            dict(
                type='PackSegInputs',
                meta_keys=(
                    'img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'reduce_zero_label')),
        ],
        test_mode=True),
)
# absent: how classes count that the ground truth does not hold ('union', 'gt' or 'zero')
test_evaluator = dict(type='SegmentationScores', absent='union')
test_cfg = dict(type='TestLoop')
