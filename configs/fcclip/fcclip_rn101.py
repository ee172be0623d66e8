# FC-CLIP on OpenAI's CLIP RN101.
_base_ = [
    '../_base_/models/fcclip_rn101.py',
    '../_base_/protocols/fcclip-800.py',
    '../_base_/default_runtime.py',
]
model = dict(protocol=_base_.protocol)
