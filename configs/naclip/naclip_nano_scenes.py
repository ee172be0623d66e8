# NACLIP on the procedural scenes.
_base_ = ['./naclip_nano.py', '../_base_/datasets/scenes.py']
