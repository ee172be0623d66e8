# The procedural scenes: 500 held-out images of 256 px, drawn on the fly.
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="ScenesDataset",
        split="val",
        length=500,  # fewer for a quick look
        size=256,  # side, or (H, W); the same scenes at any size
        pipeline=[
            dict(type="RenderScene"),
            dict(
                type="PackSegInputs",
                meta_keys=("img_path", "ori_shape", "img_shape", "reduce_zero_label", "caption"),
            ),
        ],
    ),
)
# absent: how classes count that the ground truth does not hold ("union", "gt" or "zero")
test_evaluator = dict(type="SegmentationScores", absent="union")
test_cfg = dict(type="TestLoop")
