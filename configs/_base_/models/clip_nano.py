# The embedded nano CLIP: it knows the words of the procedural scenes and no others.
model = dict(
    type='TrainingFreeSegmentor',
    image_encoder=dict(
        type='CLIPViT',
        model='nano-vit-8',
        pretrained='ovseg',  # None: random weights
        weights=None,  # a local file of CLIP weights, instead of `pretrained`
        precision='fp32',  # fp32, bf16 or fp16
    ),
    text_encoder=dict(
        type='CLIPText',
        model='nano-vit-8',
        pretrained='ovseg',
        weights=None,
        precision='fp32',
    ),
    templates='openai80',
    window_batch=32,
)
