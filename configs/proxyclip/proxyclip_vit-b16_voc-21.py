# ProxyCLIP with CLIP ViT-B/16 on voc-21.
_base_ = ['./proxyclip_vit-b16.py', '../_base_/datasets/voc-21.py']
model = dict(
    vocabulary='voc-21/proxyclip',  # the class file of the protocol
    protocol=dict(prob_threshold=0.2),
)
