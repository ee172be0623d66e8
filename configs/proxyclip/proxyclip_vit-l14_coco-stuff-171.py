# ProxyCLIP with CLIP ViT-L/14 on coco-stuff-171.
_base_ = ['./proxyclip_vit-l14.py', '../_base_/datasets/coco-stuff-171.py']
model = dict(
    vocabulary='coco-stuff-171/proxyclip',  # the class file of the protocol
)
