# ProxyCLIP with OpenCLIP ViT-H/14 on ade20k-150.
_base_ = ['./proxyclip_vit-h14.py', '../_base_/datasets/ade20k-150.py']
model = dict(
    vocabulary='ade20k-150/proxyclip',  # the class file of the protocol
    protocol=dict(name='proxyclip-448', short_side=448),
)
