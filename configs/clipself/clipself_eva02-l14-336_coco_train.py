# Train EVA02-CLIP L/14-336 by CLIPSelf on the images of COCO, as published.
_base_ = './clipself_eva02-b16_coco_train.py'
model = dict(
    student=dict(model='EVA02-L-14-336', pretrained='merged2b_s6b_b61k'),
    unlocked_blocks=24,  # all
    sizes=None,  # (336, 448, 672, 896)
)
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            pipeline=[
                dict(type='LoadImage'),
                dict(type='GridBoxes', max_split=6, max_boxes=20),
                dict(type='PackRegions', size=896, crop_size=336, context=1.0),
            ])))
custom_hooks = [
    dict(type='FrozenGuardHook'),
    dict(type='SaveTowerHook', name='clipself_eva02-l14-336.safetensors', blend=0.95),
]
