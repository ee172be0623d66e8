# FC-CLIP (convnext-l) on coco-panoptic-133.
_base_ = ['./fcclip_convnext-l.py', '../_base_/datasets/coco-panoptic-133.py']
model = dict(
    vocabulary='coco-panoptic-133/fcclip',  # the authors' words
    tasks=('semantic',),
)
# As in the authors' evaluation only classes of the ground truth count.
test_evaluator = dict(absent='gt')
