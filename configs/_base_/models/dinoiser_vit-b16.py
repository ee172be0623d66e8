# What trains CLIP-DINOiser's two convolutions as published: LAION-2B's CLIP ViT-B/16, taught by DINO
# ViT-B/16 and by FOUND on DINO ViT-S/8.
model = dict(
    type='DINOiserDistiller',
    image_encoder=dict(
        type='CLIPViT',
        model='ViT-B-16',
        pretrained='laion2b_s34b_b88k',  # None: random weights
        weights=None,  # a local file of CLIP weights, instead of `pretrained`
        precision='fp32',  # fp32, bf16 or fp16
        position='bicubic',
    ),
    encoders=dict(
        dino=dict(
            type='DINO',
            model='vit_base_patch16_224',
            pretrained='dino',
            weights=None,
            precision='fp32',
        ),
        found=dict(
            type='DINO',
            model='vit_small_patch8_224',
            pretrained='dino',
            weights=None,
            precision='fp32',
        )),
    guide=dict(type='DINOGuide', encoder='dino', feature='v'),
    # SeedForeground instead: FOUND's first step, which needs no weights of its own.
    foreground=dict(type='FOUNDForeground', encoder='found', pretrained='authors', weights=None),
    head=dict(
        dim=256,
        kernel=3,
        pretrained=None,  # 'authors': go on from theirs
        weights=None,  # or from a local file
    ),
    block=-3,  # whose tokens are read; say the same where they are used
    gamma=0.2,
    threshold=0.5,
)
