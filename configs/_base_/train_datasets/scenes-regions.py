# Procedural scenes without any label: cells of random grids and their crops.
_base_ = './scenes.py'

train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            size=192,
            pipeline=[
                dict(type='RenderScene'),
                dict(type='GridBoxes', max_split=6, max_boxes=12),
                dict(type='PackRegions', size=192, crop_size=64, context=1.0),
            ])),
)
