# SCLIP with CLIP ViT-B/16 on voc-21.
_base_ = ['./sclip_vit-b16.py', '../_base_/datasets/voc-21.py']
model = dict(
    vocabulary='voc-21/sclip',  # the class file of the protocol
    protocol=dict(logit_scale=65, prob_threshold=0.1, area_threshold=0.1),
)
