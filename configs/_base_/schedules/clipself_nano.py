# A schedule for the nano CLIP on the procedural scenes: a quarter of an hour on two cores.
optim_wrapper = dict(
    type='GuardedOptimWrapper',
    precision='fp32',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.1, betas=(0.9, 0.98), eps=1e-6),
    constructor='DecayOfMatrices',
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0.0, begin=50, end=1000, by_epoch=False),
]
train_cfg = dict(type='EndlessTrainLoop', max_iters=1000)
custom_hooks = [
    dict(type='FrozenGuardHook'),
    dict(type='SaveTowerHook', name='tower.safetensors', blend=1.0),
]
