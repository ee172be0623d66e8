# CLIPtrase: patches attend by q, k and v alike; clusters of patches vote for a class.
_base_ = [
    '../_base_/models/clip_vit-b16.py',
    '../_base_/protocols/cliptrase-square.py',
    '../_base_/default_runtime.py',
]
model = dict(
    attention=dict(type='CLIPtraseAttention'),
    # eps 1.1 and 7 neighbors for a square of 336, as the authors have it; they take eps=0.7 and
    # min_samples=3 for one of 224
    refiner=dict(type='CLIPtraseRefiner'),
    protocol=_base_.protocol,
)
