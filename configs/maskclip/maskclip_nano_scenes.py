_base_ = ['./maskclip_nano.py', '../_base_/datasets/scenes.py']
model = dict(vocabulary=_base_.vocabulary)
