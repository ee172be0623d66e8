# MaskCLIP with CLIP ViT-B/16 on coco-panoptic-133.
_base_ = ['./maskclip_vit-b16.py', '../_base_/datasets/coco-panoptic-133.py']
model = dict(
    vocabulary='coco-panoptic-133',  # no published protocol: the set's own names with synonyms
)
