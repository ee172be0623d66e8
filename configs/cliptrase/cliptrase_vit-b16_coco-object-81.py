# CLIPtrase with CLIP ViT-B/16 on coco-object-81.
_base_ = ['./cliptrase_vit-b16.py', '../_base_/datasets/coco-object-81.py']
model = dict(
    vocabulary='coco-object-81/cliptrase',  # the class file of the protocol
)
# As in the authors' metric, classes that the ground truth lacks do not count.
test_evaluator = dict(absent='gt')
