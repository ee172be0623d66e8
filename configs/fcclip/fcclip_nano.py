# FC-CLIP, complete and small: made in this project, on this project's scenes.
_base_ = [
    '../_base_/models/fcclip_nano.py',
    '../_base_/protocols/nano-whole-256.py',
    '../_base_/default_runtime.py',
]
model = dict(protocol=_base_.protocol)
