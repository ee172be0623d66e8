# CLIP-DINOiser's teacher with CLIP ViT-B/16 on coco-stuff-171.
_base_ = ['./clip_dinoiser-teacher_vit-b16.py', '../_base_/datasets/coco-stuff-171.py']
model = dict(
    vocabulary='coco-stuff-171/clip-dinoiser',  # the class file of the protocol
)
