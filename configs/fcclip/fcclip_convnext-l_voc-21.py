# FC-CLIP (convnext-l) on voc-21.
_base_ = ['./fcclip_convnext-l.py', '../_base_/datasets/voc-21.py']
model = dict(
    vocabulary='voc-21/fcclip',  # the authors' words
    tasks=('semantic',),
)
# As in the authors' evaluation only classes of the ground truth count.
test_evaluator = dict(absent='gt')
