# Dense classification of EVA02-CLIP B/16 on COCO's panoptic val2017, as published.
_base_ = ['../_base_/datasets/coco-panoptic.py', '../_base_/default_runtime.py']
model = dict(
    type='RegionClassifier',
    image_encoder=dict(
        type='CLIPViT',
        model='EVA02-B-16',
        pretrained='merged2b_s8b_b131k',
        weights=None,  # a trained tower
        position='bicubic',
        precision='fp32',  # fp32, bf16 or fp16
    ),
    text_encoder=dict(type='CLIPText', model='EVA02-B-16', pretrained='merged2b_s8b_b131k'),
    size=1024,  # images are resized to fit this square
    crop_size=None,  # of crops; None: the tower's own
    attention=None,  # an attention rule; None: as published
    ways=('boxes', 'masks', 'crops'),
    templates='openai80',
)
test_evaluator = [dict(type='RegionAccuracy', first=(1, 5))]
