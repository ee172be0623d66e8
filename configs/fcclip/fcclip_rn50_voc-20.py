# FC-CLIP (rn50) on voc-20.
_base_ = ['./fcclip_rn50.py', '../_base_/datasets/voc-20.py']
model = dict(
    vocabulary='voc-20/fcclip',  # the authors' words
    tasks=('semantic',),
)
# As in the authors' evaluation only classes of the ground truth count.
test_evaluator = dict(absent='gt')
