# Train the nano FC-CLIP's head on the procedural scenes.
_base_ = [
    './fcclip_nano.py',
    '../_base_/train_datasets/scenes.py',
    '../_base_/schedules/scenes_nano.py',
]
model = dict(
    head=None,  # nothing but what is trained here
    criterion=dict(
        _delete_=True,
        type='MaskCriterion',
        class_weight=2.0,
        mask_weight=5.0,
        dice_weight=5.0,
        void_weight=0.1,
        num_points=1024,  # the scenes are small
        oversample_ratio=3.0,
        importance_ratio=0.75,
    ),
)
default_hooks = dict(checkpoint=dict(interval=500))
