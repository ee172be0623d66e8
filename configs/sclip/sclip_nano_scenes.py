# SCLIP on the procedural scenes.
_base_ = ['./sclip_nano.py', '../_base_/datasets/scenes.py']
