# CLIPtrase with CLIP ViT-B/16 on voc-20.
_base_ = ['./cliptrase_vit-b16.py', '../_base_/datasets/voc-20.py']
model = dict(
    vocabulary='voc-20/cliptrase',  # the class file of the protocol
)
# As in the authors' metric, classes that the ground truth lacks do not count.
test_evaluator = dict(absent='gt')
