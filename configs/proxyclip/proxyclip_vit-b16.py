# ProxyCLIP: DINO says which patches belong together, CLIP's values say what they are.
_base_ = [
    '../_base_/models/clip_vit-b16.py',
    '../_base_/protocols/proxyclip-336.py',
    '../_base_/default_runtime.py',
]
model = dict(
    encoders=dict(
        dino=dict(
            type='DINO',
            # The published numbers are with DINO ViT-B/8. The authors also try ViT-B/16
            # ('vit_base_patch16_224', 'dino') and DINOv2 ('vit_base_patch14_reg4_dinov2',
            # 'lvd142m'); DINOv3 ('vit_base_patch16_dinov3', 'lvd1689m') is newer than the paper.
            model='vit_base_patch8_224',
            pretrained='dino',  # None: random weights
            weights=None,  # a local file, instead of `pretrained`
            precision='fp32',
        )),
    guide=dict(type='DINOGuide', encoder='dino', feature='tokens'),
    attention=dict(type='ProxyAttention', beta=1.2, gamma=3.0),
    protocol=_base_.protocol,
    window_batch=4,  # DINO has 1764 patches in a window
)
