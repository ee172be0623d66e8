# Trident with CLIP ViT-B/16 on coco-object-81.
_base_ = ['./trident_vit-b16.py', '../_base_/datasets/coco-object-81.py']
model = dict(
    vocabulary='coco-object-81/trident',  # the class file of the protocol
    refiner=dict(coarse_threshold=0.25),
    protocol=dict(name='trident-448', short_side=448, prob_threshold=0.25),
)
