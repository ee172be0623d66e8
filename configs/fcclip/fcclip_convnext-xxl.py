# FC-CLIP on OpenCLIP's ConvNeXt-XXL.
_base_ = [
    '../_base_/models/fcclip_convnext-xxl.py',
    '../_base_/protocols/fcclip-800.py',
    '../_base_/default_runtime.py',
]
model = dict(protocol=_base_.protocol)
