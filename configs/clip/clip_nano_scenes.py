# Plain CLIP on the procedural scenes.
_base_ = ['./clip_nano.py', '../_base_/datasets/scenes.py']
