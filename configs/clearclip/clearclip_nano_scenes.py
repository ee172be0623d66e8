# ClearCLIP on the procedural scenes.
_base_ = ['./clearclip_nano.py', '../_base_/datasets/scenes.py']
