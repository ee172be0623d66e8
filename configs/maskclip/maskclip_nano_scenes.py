# MaskCLIP on the procedural scenes.
_base_ = ['./maskclip_nano.py', '../_base_/datasets/scenes.py']
