# Scenes of what was held out from all training: known things in combinations of color and pattern
# that were never shown or said, and new things. The measure of openness.
_base_ = '../benchmark.py'

test_dataloader = dict(
    persistent_workers=True,
    dataset=dict(
        type='UnseenScenesDataset',
        length=500,  # fewer for a quick look
        size=256,  # side, or (H, W); a scene is the same at any size
        zoom=1.0,  # 2 shows things and textures twice as large
        # In place of files: image and mask are drawn.
        pipeline=[
            dict(type='RenderScene'),
            dict(
                type='PackSegInputs',
                meta_keys=('img_path', 'ori_shape', 'img_shape', 'reduce_zero_label', 'caption')),
        ]),
)
