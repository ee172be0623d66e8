# CLIP-DINOiser with CLIP ViT-B/16 on coco-object-81.
_base_ = ['./clip_dinoiser_vit-b16.py', '../_base_/datasets/coco-object-81.py']
model = dict(
    vocabulary='coco-object-81/clip-dinoiser',  # the class file of the protocol
    protocol=dict(foreground_threshold=0.99),  # FOUND's background
)
