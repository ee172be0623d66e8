# FC-CLIP on the procedural scenes: mIoU, PQ and AP from one pass.
_base_ = ['./fcclip_nano.py', '../_base_/datasets/scenes-panoptic.py']
