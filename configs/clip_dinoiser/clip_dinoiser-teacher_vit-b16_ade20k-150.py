# CLIP-DINOiser's teacher with CLIP ViT-B/16 on ade20k-150.
_base_ = ['./clip_dinoiser-teacher_vit-b16.py', '../_base_/datasets/ade20k-150.py']
model = dict(
    vocabulary='ade20k-150/dataset',  # the class file of the protocol
)
