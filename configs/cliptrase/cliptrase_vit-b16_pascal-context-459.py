# CLIPtrase with CLIP ViT-B/16 on pascal-context-459.
_base_ = ['./cliptrase_vit-b16.py', '../_base_/datasets/pascal-context-459.py']
model = dict(
    vocabulary='pascal-context-459/cliptrase',  # the class file of the protocol
)
# As in the authors' metric, classes that the ground truth lacks do not count.
test_evaluator = dict(absent='gt')
