# FC-CLIP on the embedded nano ConvNeXt CLIP: it knows the words of the procedural scenes and no
# others. Smaller in everything that is trained.
_base_ = './fcclip.py'

model = dict(
    image_encoder=dict(
        type='CLIPConv',
        model='nano-convnext',
        pretrained='ovseg',  # None: random weights
        weights=None,  # a local file of CLIP weights, instead of `pretrained`
        precision='fp32',  # fp32, bf16 or fp16
    ),
    text_encoder=dict(
        type='CLIPText',
        model='nano-convnext',
        pretrained='ovseg',
        weights=None,
        precision='fp32',
    ),
    head=dict(name='nano-fcclip', pretrained='ovseg', weights=None),
    pixel_decoder=dict(dim=96, mask_dim=96, layers=3, heads=4, feedforward=256),
    decoder=dict(dim=96, queries=50, layers=5, heads=4, feedforward=384),
    train_vocabulary='scenes',
)
