# Train FC-CLIP's head on a folder of your own images and masks, on the frozen ConvNeXt-L. The schedule
# is that of COCO: for a smaller folder set fewer iterations, and earlier steps of the learning rate.
_base_ = [
    './fcclip_convnext-l.py',
    '../_base_/train_datasets/folder.py',
    '../_base_/schedules/fcclip_368k.py',
]
model = dict(
    head=None,  # nothing but what is trained here
    train_vocabulary=_base_.data_root + '/classes.txt',
    criterion=dict(
        _delete_=True,
        type='MaskCriterion',
        class_weight=2.0,
        mask_weight=5.0,
        dice_weight=5.0,
        void_weight=0.1,
        num_points=12544,
        oversample_ratio=3.0,
        importance_ratio=0.75,
    ),
)
default_hooks = dict(checkpoint=dict(interval=5000))
