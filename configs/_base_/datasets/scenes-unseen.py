# Scenes of what was held out from all training: known things in combinations of color and pattern
# that were never shown or said, and new things. The measure of openness.
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='UnseenScenesDataset',
        length=500,  # fewer for a quick look
        size=256,  # side, or (H, W); a scene is the same at any size
        zoom=1.0,  # 2 shows things and textures twice as large
        pipeline=[
            dict(type='RenderScene'),
            dict(
                type='PackSegInputs',
                meta_keys=('img_path', 'ori_shape', 'img_shape', 'reduce_zero_label', 'caption')),
        ],
        test_mode=True),
)
# absent: how classes count that the ground truth does not hold ('union', 'gt' or 'zero')
test_evaluator = dict(type='SegmentationScores', absent='union')
test_cfg = dict(type='TestLoop')
