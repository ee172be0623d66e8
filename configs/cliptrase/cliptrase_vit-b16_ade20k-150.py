# CLIPtrase with CLIP ViT-B/16 on ade20k-150.
_base_ = ['./cliptrase_vit-b16.py', '../_base_/datasets/ade20k-150.py']
model = dict(
    vocabulary='ade20k-150/cliptrase',  # the class file of the protocol
)
# As in the authors' metric, classes that the ground truth lacks do not count.
test_evaluator = dict(absent='gt')
