# OpenCLIP's ViT-H/14, trained on LAION-2B.
model = dict(
    type='TrainingFreeSegmentor',
    image_encoder=dict(
        type='CLIPViT',
        model='ViT-H-14',
        pretrained='laion2b_s32b_b79k',  # None: random weights
        weights=None,  # a local file of CLIP weights, instead of `pretrained`
        precision='fp32',  # fp32, bf16 or fp16
        # how position embeddings reach other sizes; this is SCLIP's and Trident's way
        position='bicubic_offset',
    ),
    text_encoder=dict(
        type='CLIPText',
        model='ViT-H-14',
        pretrained='laion2b_s32b_b79k',
        weights=None,
        precision='fp32',
    ),
    templates='openai80',
    window_batch=4,  # windows that go through the encoder together: speed against memory
)
