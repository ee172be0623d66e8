# SCLIP with CLIP ViT-B/16 on coco-stuff-171.
_base_ = ['./sclip_vit-b16.py', '../_base_/datasets/coco-stuff-171.py']
model = dict(
    vocabulary='coco-stuff-171/sclip',  # the class file of the protocol
    protocol=dict(short_side=448),
)
