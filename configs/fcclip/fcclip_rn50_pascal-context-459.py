# FC-CLIP (rn50) on pascal-context-459.
_base_ = ['./fcclip_rn50.py', '../_base_/datasets/pascal-context-459.py']
model = dict(
    vocabulary='pascal-context-459/fcclip',  # the authors' words
    tasks=('semantic',),
)
# As in the authors' evaluation only classes of the ground truth count.
test_evaluator = dict(absent='gt')
