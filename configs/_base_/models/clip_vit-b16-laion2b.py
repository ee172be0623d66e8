# LAION-2B's CLIP ViT-B/16 (GELU, not QuickGELU): the tower of CLIP-DINOiser.
model = dict(
    type='TrainingFreeSegmentor',
    image_encoder=dict(
        type='CLIPViT',
        model='ViT-B-16',
        pretrained='laion2b_s34b_b88k',  # None: random weights
        weights=None,  # a local file of CLIP weights, instead of `pretrained`
        precision='fp32',  # fp32, bf16 or fp16
        position='bicubic',  # how position embeddings reach other sizes; CLIP-DINOiser's way
    ),
    text_encoder=dict(
        type='CLIPText',
        model='ViT-B-16',
        pretrained='laion2b_s34b_b88k',
        weights=None,
        precision='fp32',
    ),
    templates='openai80',
    window_batch=16,  # windows that go through the encoder together: speed against memory
)
