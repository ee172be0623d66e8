# MaskCLIP on the nano CLIP that CLIPSelf trained, on the procedural scenes.
_base_ = ['./clipself_nano.py', '../_base_/datasets/scenes.py']
