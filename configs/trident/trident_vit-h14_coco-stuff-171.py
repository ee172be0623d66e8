# Trident with OpenCLIP ViT-H/14 on coco-stuff-171.
_base_ = ['./trident_vit-h14.py', '../_base_/datasets/coco-stuff-171.py']
model = dict(
    vocabulary='coco-stuff-171/trident',  # the class file of the protocol
    refiner=dict(coarse_threshold=0.05),
    protocol=dict(name='trident-448', short_side=448),
)
