# ProxyCLIP with CLIP ViT-B/16 on voc-20.
_base_ = ['./proxyclip_vit-b16.py', '../_base_/datasets/voc-20.py']
model = dict(
    vocabulary='voc-20/proxyclip',  # the class file of the protocol
)
