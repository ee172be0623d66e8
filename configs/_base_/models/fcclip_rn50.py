# FC-CLIP on OpenAI's CLIP RN50.
_base_ = './fcclip.py'

model = dict(
    image_encoder=dict(
        type='CLIPConv',
        model='RN50-quickgelu',
        pretrained='openai',  # None: random weights
        weights=None,  # a local file of CLIP weights, instead of `pretrained`
        precision='fp32',  # fp32, bf16 or fp16
        position='bilinear',  # how the authors stretch its position embedding
    ),
    text_encoder=dict(
        type='CLIPText',
        model='RN50-quickgelu',
        pretrained='openai',
        weights=None,
        precision='fp32',
    ),
    # The authors' weights, trained on COCO panoptic. They lie on Google Drive; where that cannot be
    # reached, download them by hand and set `weights` (see the README).
    head=dict(name='fcclip_rn50', pretrained='authors', weights=None),
    valid_only=True,  # as published for ResNets
)
