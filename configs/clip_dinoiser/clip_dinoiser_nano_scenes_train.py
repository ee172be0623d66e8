# Train the nano CLIP-DINOiser's two convolutions on the procedural scenes.
_base_ = [
    '../_base_/models/dinoiser_nano.py',
    '../_base_/train_datasets/scenes-windows.py',
    '../_base_/schedules/clip_dinoiser_nano.py',
    '../_base_/default_runtime.py',
]
