# ProxyCLIP with CLIP ViT-B/16 on ade20k-847.
_base_ = ['./proxyclip_vit-b16.py', '../_base_/datasets/ade20k-847.py']
model = dict(
    vocabulary='ade20k-847/proxyclip',  # the class file of the protocol
    protocol=dict(name='proxyclip-448', short_side=448),
)
