# FC-CLIP (convnext-l) on mapillary-panoptic: mIoU, PQ and AP from one pass.
_base_ = ['./fcclip_convnext-l.py', '../_base_/datasets/mapillary-panoptic.py']
model = dict(
    vocabulary='mapillary-65/fcclip',  # the authors' words
    protocol=dict(name='fcclip-1024', short_side=1024, long_side=2560),
)
