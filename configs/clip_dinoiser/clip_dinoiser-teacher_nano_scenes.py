# CLIP-DINOiser's teacher on the procedural scenes.
_base_ = ['./clip_dinoiser-teacher_nano.py', '../_base_/datasets/scenes.py']
