# FC-CLIP (convnext-l) on mapillary-65.
_base_ = ['./fcclip_convnext-l.py', '../_base_/datasets/mapillary-65.py']
model = dict(
    vocabulary='mapillary-65/fcclip',  # the authors' words
    tasks=('semantic',),
    protocol=dict(name='fcclip-1024', short_side=1024, long_side=2560),
)
# As in the authors' evaluation only classes of the ground truth count.
test_evaluator = dict(absent='gt')
