# SCLIP with CLIP ViT-L/14 on coco-object-81.
_base_ = ['./sclip_vit-l14.py', '../_base_/datasets/coco-object-81.py']
model = dict(
    vocabulary='coco-object-81/sclip',  # the class file of the protocol
    protocol=dict(logit_scale=50, prob_threshold=0.1),
)
