# What trains the nano CLIP-DINOiser's two convolutions: the embedded nano CLIP, taught by the nano
# DINO.
model = dict(
    type='DINOiserDistiller',
    image_encoder=dict(
        type='CLIPViT',
        model='nano-vit-8',
        pretrained='ovseg',  # None: random weights
        weights=None,  # a local file of CLIP weights, instead of `pretrained`
        precision='fp32',  # fp32, bf16 or fp16
    ),
    encoders=dict(
        dino=dict(
            type='DINO',
            model='nano-dino-8',
            pretrained='ovseg',
            weights=None,
            precision='fp32',
        )),
    guide=dict(type='DINOGuide', encoder='dino', feature='v', scale=2),
    # There is no FOUND of this size: its first step, which needs no weights of its own.
    foreground=dict(type='SeedForeground', encoder='dino', threshold=0.3),
    head=dict(
        dim=128,
        kernel=3,
        model='nano-dinoiser-8',
        pretrained=None,  # 'ovseg': go on from the packaged ones
        weights=None,  # or from a local file
    ),
    block=-3,  # whose tokens are read; say the same where they are used
    gamma=0.65,  # the nano DINO's cosines differ less than a real one's (published: 0.2)
    threshold=0.5,
)
