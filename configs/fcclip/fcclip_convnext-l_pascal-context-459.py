# FC-CLIP (convnext-l) on pascal-context-459.
_base_ = ['./fcclip_convnext-l.py', '../_base_/datasets/pascal-context-459.py']
model = dict(
    vocabulary='pascal-context-459/fcclip',  # the authors' words
    tasks=('semantic',),
)
# As in the authors' evaluation only classes of the ground truth count.
test_evaluator = dict(absent='gt')
