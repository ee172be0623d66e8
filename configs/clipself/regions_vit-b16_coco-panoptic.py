# Dense classification of OpenAI's CLIP ViT-B/16 on COCO's panoptic val2017.
_base_ = './regions_eva02-b16_coco-panoptic.py'
model = dict(
    image_encoder=dict(model='ViT-B-16', pretrained='openai'),
    text_encoder=dict(model='ViT-B-16', pretrained='openai'),
)
