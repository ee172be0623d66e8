# Cityscapes instances: mask AP of its 8 things, validation split (500 images). The benchmark's own
# scripts count a little otherwise, see tools/dataset_converters/README.md.
_base_ = './cityscapes-panoptic.py'

test_evaluator = [dict(type='MaskAP', max_per_image=100)]
