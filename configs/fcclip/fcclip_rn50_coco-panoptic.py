# FC-CLIP (rn50) on coco-panoptic: mIoU, PQ and AP from one pass.
_base_ = ['./fcclip_rn50.py', '../_base_/datasets/coco-panoptic.py']
model = dict(
    vocabulary='coco-panoptic-133/fcclip',  # the authors' words
)
