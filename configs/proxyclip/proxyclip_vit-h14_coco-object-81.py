# ProxyCLIP with OpenCLIP ViT-H/14 on coco-object-81.
_base_ = ['./proxyclip_vit-h14.py', '../_base_/datasets/coco-object-81.py']
model = dict(
    vocabulary='coco-object-81/proxyclip',  # the class file of the protocol
    protocol=dict(prob_threshold=0.25),
)
