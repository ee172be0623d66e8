# Train EVA02-CLIP B/16 by CLIPSelf on region proposals, as published.
_base_ = ['./clipself_eva02-b16_coco_train.py']
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            # In the layout of COCO's instances; its boxes alone are read.
            ann_file='coco_proposals.json',
            pipeline=[
                dict(type='LoadImage'),
                dict(type='GivenBoxes', max_boxes=20, min_size=8, max_size=1024),
                dict(type='PackRegions', size=1024, crop_size=224, context=1.5),
            ])))
