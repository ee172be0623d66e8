# Train the nano CLIP by CLIPSelf on procedural scenes, without any label.
_base_ = [
    '../_base_/train_datasets/scenes-regions.py',
    '../_base_/schedules/clipself_nano.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CLIPSelf',
    student=dict(type='CLIPViT', model='nano-vit-8', pretrained='ovseg', weights=None),
    unlocked_blocks=2,  # what is trained fits into the package; all six are a little better
    sizes=(128, 192),  # of the student's input
    keep_weight=2.0,  # or retrieval by the class token would lose ten points
)
default_hooks = dict(checkpoint=dict(interval=500))
