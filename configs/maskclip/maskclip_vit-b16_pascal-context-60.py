# MaskCLIP with CLIP ViT-B/16 on pascal-context-60.
_base_ = ['./maskclip_vit-b16.py', '../_base_/datasets/pascal-context-60.py']
model = dict(
    vocabulary='pascal-context-60/sclip',  # the class file of the protocol
    protocol=dict(logit_scale=50, prob_threshold=0.1),
)
