# FC-CLIP on OpenAI's CLIP RN50x64.
_base_ = [
    '../_base_/models/fcclip_rn50x64.py',
    '../_base_/protocols/fcclip-800.py',
    '../_base_/default_runtime.py',
]
model = dict(protocol=_base_.protocol)
