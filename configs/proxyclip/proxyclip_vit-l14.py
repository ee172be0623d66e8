# ProxyCLIP with CLIP ViT-L/14 and DINO ViT-B/8.
_base_ = [
    '../_base_/models/clip_vit-l14.py',
    '../_base_/protocols/proxyclip-336.py',
    '../_base_/default_runtime.py',
]
model = dict(
    encoders=dict(
        dino=dict(
            type='DINO',
            model='vit_base_patch8_224',  # as with ViT-B/16
            pretrained='dino',  # None: random weights
            weights=None,  # a local file, instead of `pretrained`
            precision='fp32',
        )),
    guide=dict(type='DINOGuide', encoder='dino', feature='tokens'),
    attention=dict(type='ProxyAttention', beta=1.2, gamma=3.0),
    protocol=_base_.protocol,
    window_batch=4,  # DINO has 1764 patches in a window
)
