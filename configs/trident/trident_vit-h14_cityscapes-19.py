# Trident with OpenCLIP ViT-H/14 on cityscapes-19.
_base_ = ['./trident_vit-h14.py', '../_base_/datasets/cityscapes-19.py']
model = dict(
    vocabulary='cityscapes-19/trident',  # the class file of the protocol
    aggregator=dict(cos_factor=3.0, mend_negative=True, halves=True),
    refiner=dict(coarse_threshold=0.1),
    protocol=dict(name='trident-688', short_side=688),
)
