# FC-CLIP (convnext-l) on coco-panoptic: mIoU, PQ and AP from one pass.
_base_ = ['./fcclip_convnext-l.py', '../_base_/datasets/coco-panoptic.py']
model = dict(
    vocabulary='coco-panoptic-133/fcclip',  # the authors' words
)
