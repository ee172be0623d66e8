# The procedural scenes with their segments: 500 held-out images of 256 pixels, drawn as needed.
_base_ = '../panoptic.py'

test_dataloader = dict(
    persistent_workers=True,
    dataset=dict(
        type='ScenesDataset',  # UnseenScenesDataset (without split) for what was held out
        split='val',
        length=500,  # fewer for a quick look
        size=256,  # side, or (H, W); a scene is the same at any size
        zoom=1.0,  # 2 shows things and textures twice as large
        # In place of files: image and ground truth are drawn.
        pipeline=[
            dict(type='RenderScene', panoptic=True),
            dict(
                type='PackPanoptic',
                meta_keys=('img_path', 'ori_shape', 'img_shape', 'reduce_zero_label', 'caption')),
        ]),
)
