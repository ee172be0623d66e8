# ProxyCLIP with CLIP ViT-B/16 on pascal-context-459.
_base_ = ['./proxyclip_vit-b16.py', '../_base_/datasets/pascal-context-459.py']
model = dict(
    vocabulary='pascal-context-459/proxyclip',  # the class file of the protocol
    protocol=dict(name='proxyclip-448', short_side=448),
)
