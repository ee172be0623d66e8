# The baseline of the paper: EVA02-CLIP B/16 learns the words of given region-word pairs.
_base_ = ['./clipself_eva02-b16_coco_train.py']
pairs = 'coco_pseudo_4764.json'  # in the layout of COCO's instances; its categories are the words
model = dict(
    _delete_=True,
    type='RegionCLIP',
    student=dict(
        type='CLIPViT',
        model='EVA02-B-16',
        pretrained='merged2b_s8b_b131k',
        weights=None,
        position='bicubic',
    ),
    text_encoder=dict(type='CLIPText', model='EVA02-B-16', pretrained='merged2b_s8b_b131k'),
    words='{{$OVSEG_DATA:data}}/coco/coco_pseudo_4764.json',
    unlocked_blocks=12,
)
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            ann_file=pairs,
            words=True,
            pipeline=[
                dict(type='LoadImage'),
                dict(type='GivenBoxes', max_boxes=20, min_size=0, max_size=1e9, shuffle=False),
                dict(type='PackRegions', size=1024, crop_size=None),
            ])))
custom_hooks = [
    dict(type='FrozenGuardHook'),
    dict(type='SaveTowerHook', name='regionclip_eva02-b16.safetensors', blend=0.7),
]
