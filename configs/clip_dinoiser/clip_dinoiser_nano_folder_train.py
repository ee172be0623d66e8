# Train the nano CLIP-DINOiser's two convolutions on a folder of your own images.
_base_ = [
    '../_base_/models/dinoiser_nano.py',
    '../_base_/train_datasets/folder-windows.py',
    '../_base_/schedules/clip_dinoiser_nano.py',
    '../_base_/default_runtime.py',
]
param_scheduler = [dict(type='MultiStepLR', milestones=[800], gamma=0.1, by_epoch=False)]
train_cfg = dict(max_iters=1000)
