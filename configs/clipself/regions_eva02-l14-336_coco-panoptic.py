# Dense classification of EVA02-CLIP L/14-336 on COCO's panoptic val2017, as published.
_base_ = './regions_eva02-b16_coco-panoptic.py'
model = dict(
    image_encoder=dict(model='EVA02-L-14-336', pretrained='merged2b_s6b_b61k'),
    text_encoder=dict(model='EVA02-L-14-336', pretrained='merged2b_s6b_b61k'),
    size=896,
)
