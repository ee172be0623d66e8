# Trident on the procedural scenes.
_base_ = ['./trident_nano.py', '../_base_/datasets/scenes.py']
