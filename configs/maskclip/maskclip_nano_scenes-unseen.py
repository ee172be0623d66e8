# MaskCLIP on scenes of what was held out from all training.
_base_ = ['./maskclip_nano.py', '../_base_/datasets/scenes-unseen.py']
