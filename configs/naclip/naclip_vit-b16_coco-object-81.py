# NACLIP with CLIP ViT-B/16 on coco-object-81.
_base_ = ['./naclip_vit-b16.py', '../_base_/datasets/coco-object-81.py']
model = dict(
    vocabulary='coco-object-81/naclip',  # the class file of the protocol
    protocol=dict(prob_threshold=0.1),
)
