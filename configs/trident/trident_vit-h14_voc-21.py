# Trident with OpenCLIP ViT-H/14 on voc-21.
_base_ = ['./trident_vit-h14.py', '../_base_/datasets/voc-21.py']
model = dict(
    vocabulary='voc-21/trident',  # the class file of the protocol
    protocol=dict(name='trident-448', short_side=448, prob_threshold=0.2),
)
