# CLIPtrase with CLIP ViT-B/16 on coco-stuff-171.
_base_ = ['./cliptrase_vit-b16.py', '../_base_/datasets/coco-stuff-171.py']
model = dict(
    vocabulary='coco-stuff-171/cliptrase',  # the class file of the protocol
)
# As in the authors' metric, classes that the ground truth lacks do not count.
test_evaluator = dict(absent='gt')
