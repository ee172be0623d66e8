# Trident with OpenCLIP ViT-H/14 on pascal-context-60.
_base_ = ['./trident_vit-h14.py', '../_base_/datasets/pascal-context-60.py']
model = dict(
    vocabulary='pascal-context-60/trident',  # the class file of the protocol
    refiner=dict(coarse_threshold=0.15),
    protocol=dict(prob_threshold=0.15),
)
