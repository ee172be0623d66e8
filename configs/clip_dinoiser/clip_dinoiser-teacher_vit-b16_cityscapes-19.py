# CLIP-DINOiser's teacher with CLIP ViT-B/16 on cityscapes-19.
_base_ = ['./clip_dinoiser-teacher_vit-b16.py', '../_base_/datasets/cityscapes-19.py']
model = dict(
    vocabulary='cityscapes-19/dataset',  # the class file of the protocol
)
