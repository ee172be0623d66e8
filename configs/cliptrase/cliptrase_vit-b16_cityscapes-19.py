# CLIPtrase with CLIP ViT-B/16 on cityscapes-19.
_base_ = ['./cliptrase_vit-b16.py', '../_base_/datasets/cityscapes-19.py']
model = dict(
    vocabulary='cityscapes-19/dataset',  # the authors' code has no names for this set
)
# As in the authors' metric, classes that the ground truth lacks do not count.
test_evaluator = dict(absent='gt')
