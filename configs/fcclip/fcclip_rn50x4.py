# FC-CLIP on OpenAI's CLIP RN50x4.
_base_ = [
    '../_base_/models/fcclip_rn50x4.py',
    '../_base_/protocols/fcclip-800.py',
    '../_base_/default_runtime.py',
]
model = dict(protocol=_base_.protocol)
