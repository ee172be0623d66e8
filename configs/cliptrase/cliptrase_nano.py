# CLIPtrase: patches attend by q, k and v alike; clusters of patches vote for a class.
_base_ = [
    '../_base_/models/clip_nano.py',
    '../_base_/protocols/nano-128.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='CLIPtraseAttention', residual=False, mlp=False),
    # things of the scenes cover few of the 256 patches: two make a cluster
    refiner=dict(type='CLIPtraseRefiner', eps=0.7, min_samples=2),
    protocol=_base_.protocol,
)
