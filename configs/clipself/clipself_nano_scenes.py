# Train the nano CLIP by CLIPSelf on procedural scenes, without any label.
_base_ = [
    '../_base_/train_datasets/scenes-regions.py',
    '../_base_/schedules/clipself_nano.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='CLIPSelf',
    student=dict(type='CLIPViT', model='nano-vit-8', pretrained='ovseg', weights=None),
    unlocked_blocks=6,  # all
    sizes=(128, 192),  # of the student's input
)
default_hooks = dict(checkpoint=dict(interval=500))
