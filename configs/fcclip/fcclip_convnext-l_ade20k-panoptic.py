# FC-CLIP (convnext-l) on ade20k-panoptic: mIoU, PQ and AP from one pass.
_base_ = ['./fcclip_convnext-l.py', '../_base_/datasets/ade20k-panoptic.py']
model = dict(
    vocabulary='ade20k-150/fcclip',  # the authors' words
)
