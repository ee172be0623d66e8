# ClearCLIP with CLIP ViT-B/16 on pascal-context-60.
_base_ = ['./clearclip_vit-b16.py', '../_base_/datasets/pascal-context-60.py']
model = dict(
    vocabulary='pascal-context-60/clearclip',  # the class file of the protocol
    protocol=dict(prob_threshold=0.15),
)
