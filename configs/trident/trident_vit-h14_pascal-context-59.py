# Trident with OpenCLIP ViT-H/14 on pascal-context-59.
_base_ = ['./trident_vit-h14.py', '../_base_/datasets/pascal-context-59.py']
model = dict(
    vocabulary='pascal-context-59/trident',  # the class file of the protocol
    refiner=dict(coarse_threshold=0.15),
)
