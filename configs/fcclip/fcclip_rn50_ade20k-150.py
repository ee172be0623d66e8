# FC-CLIP (rn50) on ade20k-150.
_base_ = ['./fcclip_rn50.py', '../_base_/datasets/ade20k-150.py']
model = dict(
    vocabulary='ade20k-150/fcclip',  # the authors' words
    tasks=('semantic',),
)
# As in the authors' evaluation only classes of the ground truth count.
test_evaluator = dict(absent='gt')
