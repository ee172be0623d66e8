# FC-CLIP on OpenCLIP's ConvNeXt-L at 320 pixels, the CLIP of FC-CLIP's main results.
_base_ = './fcclip.py'

model = dict(
    image_encoder=dict(
        type='CLIPConv',
        model='convnext_large_d_320',
        pretrained='laion2b_s29b_b131k_ft_soup',  # None: random weights
        weights=None,  # a local file of CLIP weights, instead of `pretrained`
        precision='fp32',  # fp32, bf16 or fp16
    ),
    text_encoder=dict(
        type='CLIPText',
        model='convnext_large_d_320',
        pretrained='laion2b_s29b_b131k_ft_soup',
        weights=None,
        precision='fp32',
    ),
    # The authors' weights, trained on COCO panoptic. They lie on Google Drive; where that cannot be
    # reached, download them by hand and set `weights` (see the README).
    head=dict(name='fcclip_convnext-l', pretrained='authors', weights=None),
)
