# Train CLIP-DINOiser's two convolutions as published, on a thousand images without labels.
_base_ = [
    '../_base_/models/dinoiser_vit-b16.py',
    '../_base_/train_datasets/imagenet-1000.py',
    '../_base_/schedules/clip_dinoiser_6300.py',
    '../_base_/default_runtime.py',
]
