# Trident with CLIP ViT-B/16 on voc-20.
_base_ = ['./trident_vit-b16.py', '../_base_/datasets/voc-20.py']
model = dict(
    vocabulary='voc-20/trident',  # the class file of the protocol
    aggregator=dict(cos_factor=0.0),
    protocol=dict(name='trident-336', short_side=336, stride=112),
)
