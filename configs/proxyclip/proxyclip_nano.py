# ProxyCLIP in the embedded nano world: the nano DINO says which patches belong together, the nano
# CLIP's values say what they are.
_base_ = [
    '../_base_/models/clip_nano_dino.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    # Windows enlarged: both have patches of 8, where the real ones have 16 and 8.
    guide=dict(type='DINOGuide', encoder='dino', feature='v', scale=2),
    # Sharper than the published gamma of 3: the nano DINO's cosines differ less.
    attention=dict(type='ProxyAttention', beta=1.2, gamma=10.0),
    protocol=_base_.protocol,
)
