# ProxyCLIP on the procedural scenes.
_base_ = ['./proxyclip_nano.py', '../_base_/datasets/scenes.py']
