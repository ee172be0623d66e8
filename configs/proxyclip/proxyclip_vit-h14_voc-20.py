# ProxyCLIP with OpenCLIP ViT-H/14 on voc-20.
_base_ = ['./proxyclip_vit-h14.py', '../_base_/datasets/voc-20.py']
model = dict(
    vocabulary='voc-20/proxyclip',  # the class file of the protocol
)
