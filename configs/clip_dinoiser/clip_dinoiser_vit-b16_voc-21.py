# CLIP-DINOiser with CLIP ViT-B/16 on voc-21.
_base_ = ['./clip_dinoiser_vit-b16.py', '../_base_/datasets/voc-21.py']
model = dict(
    vocabulary='voc-21/clip-dinoiser',  # the class file of the protocol
    protocol=dict(foreground_threshold=0.99),  # FOUND's background
)
