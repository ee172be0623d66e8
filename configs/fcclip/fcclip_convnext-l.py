# FC-CLIP on OpenCLIP's ConvNeXt-L at 320 pixels, the CLIP of FC-CLIP's main results.
_base_ = [
    '../_base_/models/fcclip_convnext-l.py',
    '../_base_/protocols/fcclip-800.py',
    '../_base_/default_runtime.py',
]
model = dict(protocol=_base_.protocol)
