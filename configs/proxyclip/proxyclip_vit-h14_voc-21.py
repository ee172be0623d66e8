# ProxyCLIP with OpenCLIP ViT-H/14 on voc-21.
_base_ = ['./proxyclip_vit-h14.py', '../_base_/datasets/voc-21.py']
model = dict(
    vocabulary='voc-21/proxyclip',  # the class file of the protocol
    protocol=dict(prob_threshold=0.2),
)
