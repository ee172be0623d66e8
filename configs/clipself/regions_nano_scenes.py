# Dense classification of the nano CLIP on the procedural scenes.
_base_ = ['../_base_/datasets/scenes-panoptic.py', '../_base_/default_runtime.py']
model = dict(
    type='RegionClassifier',
    image_encoder=dict(
        type='CLIPViT',
        model='nano-vit-8',
        pretrained='ovseg',
        weights=None,  # a trained tower
        precision='fp32',
    ),
    text_encoder=dict(type='CLIPText', model='nano-vit-8', pretrained='ovseg'),
    size=192,  # images are resized to fit this square
    crop_size=None,  # of crops; None: the tower's own, 64
    attention=None,
    ways=('boxes', 'masks', 'crops'),
    templates='openai80',
)
test_evaluator = [dict(type='RegionAccuracy', first=(1, 5))]
