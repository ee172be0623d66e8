# ClearCLIP with CLIP ViT-B/16 on voc-21.
_base_ = ['./clearclip_vit-b16.py', '../_base_/datasets/voc-21.py']
model = dict(
    vocabulary='voc-21/clearclip',  # the class file of the protocol
    protocol=dict(prob_threshold=0.5),
)
