# FC-CLIP on OpenCLIP's ConvNeXt-XXL.
_base_ = './fcclip.py'

model = dict(
    image_encoder=dict(
        type='CLIPConv',
        model='convnext_xxlarge',
        pretrained='laion2b_s34b_b82k_augreg_soup',  # None: random weights
        weights=None,  # a local file of CLIP weights, instead of `pretrained`
        precision='fp32',  # fp32, bf16 or fp16
    ),
    text_encoder=dict(
        type='CLIPText',
        model='convnext_xxlarge',
        pretrained='laion2b_s34b_b82k_augreg_soup',
        weights=None,
        precision='fp32',
    ),
    # Nobody released weights for it: train them, or give a file.
    head=dict(name='fcclip_convnext-xxl', pretrained=None, weights=None),
)
