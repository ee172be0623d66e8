# Train CLIP-DINOiser's two convolutions on a folder of your own images, with the published settings.
_base_ = [
    '../_base_/models/dinoiser_vit-b16.py',
    '../_base_/train_datasets/folder-images.py',
    '../_base_/schedules/clip_dinoiser_6300.py',
    '../_base_/default_runtime.py',
]
