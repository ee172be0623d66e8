# ClearCLIP with CLIP ViT-L/14 on coco-object-81.
_base_ = ['./clearclip_vit-l14.py', '../_base_/datasets/coco-object-81.py']
model = dict(
    vocabulary='coco-object-81/clearclip',  # the class file of the protocol
    protocol=dict(prob_threshold=0.4),
)
