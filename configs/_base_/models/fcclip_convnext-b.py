# FC-CLIP on OpenCLIP's ConvNeXt-B at 320 pixels.
_base_ = './fcclip.py'

model = dict(
    image_encoder=dict(
        type='CLIPConv',
        model='convnext_base_w_320',
        pretrained='laion_aesthetic_s13b_b82k_augreg',  # None: random weights
        weights=None,  # a local file of CLIP weights, instead of `pretrained`
        precision='fp32',  # fp32, bf16 or fp16
    ),
    text_encoder=dict(
        type='CLIPText',
        model='convnext_base_w_320',
        pretrained='laion_aesthetic_s13b_b82k_augreg',
        weights=None,
        precision='fp32',
    ),
    # Nobody released weights for it: train them, or give a file.
    head=dict(name='fcclip_convnext-b', pretrained=None, weights=None),
)
