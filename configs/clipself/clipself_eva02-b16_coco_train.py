# Train EVA02-CLIP B/16 by CLIPSelf on the images of COCO, as published.
_base_ = [
    '../_base_/train_datasets/coco-regions.py',
    '../_base_/schedules/clipself_6e.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CLIPSelf',
    student=dict(
        type='CLIPViT',
        model='EVA02-B-16',
        pretrained='merged2b_s8b_b131k',
        weights=None,  # a local file, instead of `pretrained`
        position='bicubic',
    ),
    unlocked_blocks=12,  # all
    sizes=None,  # (320, 640, 896, 1024): several scales of the student's input
)
custom_hooks = [
    dict(type='FrozenGuardHook'),
    dict(type='SaveTowerHook', name='clipself_eva02-b16.safetensors', blend=0.7),
]
