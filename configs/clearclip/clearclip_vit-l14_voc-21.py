# ClearCLIP with CLIP ViT-L/14 on voc-21.
_base_ = ['./clearclip_vit-l14.py', '../_base_/datasets/voc-21.py']
model = dict(
    vocabulary='voc-21/clearclip',  # the class file of the protocol
    protocol=dict(prob_threshold=0.5),
)
