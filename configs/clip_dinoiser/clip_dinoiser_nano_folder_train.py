# Train the nano CLIP-DINOiser's two convolutions on a folder of your own images.
_base_ = [
    '../_base_/models/dinoiser_nano.py',
    '../_base_/train_datasets/folder-windows.py',
    '../_base_/schedules/clip_dinoiser_nano.py',
    '../_base_/default_runtime.py',
]
