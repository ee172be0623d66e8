# CLIP-DINOiser on the procedural scenes.
_base_ = ['./clip_dinoiser_nano.py', '../_base_/datasets/scenes.py']
