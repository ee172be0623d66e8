# CLIP-DINOiser with CLIP ViT-B/16 on pascal-context-60.
# As the authors have it, FOUND is not asked here: the background is the word alone.
_base_ = ['./clip_dinoiser_vit-b16.py', '../_base_/datasets/pascal-context-60.py']
model = dict(
    vocabulary='pascal-context-60/clip-dinoiser',  # the class file of the protocol
)
