# CLIPtrase on the procedural scenes.
_base_ = ['./cliptrase_nano.py', '../_base_/datasets/scenes.py']
