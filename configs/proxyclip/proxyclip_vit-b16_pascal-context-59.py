# ProxyCLIP with CLIP ViT-B/16 on pascal-context-59.
_base_ = ['./proxyclip_vit-b16.py', '../_base_/datasets/pascal-context-59.py']
model = dict(
    vocabulary='pascal-context-59/proxyclip',  # the class file of the protocol
)
