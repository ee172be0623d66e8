# ProxyCLIP with CLIP ViT-L/14 on pascal-context-60.
_base_ = ['./proxyclip_vit-l14.py', '../_base_/datasets/pascal-context-60.py']
model = dict(
    vocabulary='pascal-context-60/proxyclip',  # the class file of the protocol
    protocol=dict(prob_threshold=0.15),
)
