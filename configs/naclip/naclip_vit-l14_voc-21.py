# NACLIP with CLIP ViT-L/14 on voc-21.
_base_ = ['./naclip_vit-l14.py', '../_base_/datasets/voc-21.py']
model = dict(
    vocabulary='voc-21/naclip',  # the class file of the protocol
    protocol=dict(crop=None, stride=None, prob_threshold=0.1),  # read whole
)
