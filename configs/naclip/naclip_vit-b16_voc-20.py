# NACLIP with CLIP ViT-B/16 on voc-20.
_base_ = ['./naclip_vit-b16.py', '../_base_/datasets/voc-20.py']
model = dict(
    vocabulary='voc-20/naclip',  # the class file of the protocol
    protocol=dict(crop=None, stride=None),  # read whole
)
