# ProxyCLIP with OpenCLIP ViT-H/14 on cityscapes-19.
_base_ = ['./proxyclip_vit-h14.py', '../_base_/datasets/cityscapes-19.py']
model = dict(
    vocabulary='cityscapes-19/proxyclip',  # the class file of the protocol
    protocol=dict(name='proxyclip-448', short_side=448, crop=224),
)
