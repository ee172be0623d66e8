# Trident with OpenCLIP ViT-H/14 on ade20k-150.
_base_ = ['./trident_vit-h14.py', '../_base_/datasets/ade20k-150.py']
model = dict(
    vocabulary='ade20k-150/trident',  # the class file of the protocol
    aggregator=dict(mend_negative=True),
    refiner=dict(coarse_threshold=0.05),
)
