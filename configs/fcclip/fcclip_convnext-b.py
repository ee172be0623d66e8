# FC-CLIP on OpenCLIP's ConvNeXt-B at 320 pixels.
_base_ = [
    '../_base_/models/fcclip_convnext-b.py',
    '../_base_/protocols/fcclip-800.py',
    '../_base_/default_runtime.py',
]
model = dict(protocol=_base_.protocol)
