# A schedule for the nano model on the procedural scenes: forty minutes on two cores.
optim_wrapper = dict(
    type='GuardedOptimWrapper',
    precision='fp32',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, betas=(0.9, 0.999)),
    clip_grad=dict(max_norm=1.0, norm_type=2),
    constructor='DecayByKind',
    paramwise_cfg=dict(
        undecayed=['decoder.query', 'decoder.place', 'decoder.level', 'decoder.classifier.void']),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=1e-5, begin=100, end=3400, by_epoch=False),
]
train_cfg = dict(type='EndlessTrainLoop', max_iters=3400)
custom_hooks = [
    dict(type='FrozenGuardHook'),
    dict(type='TrainedEMAHook', momentum=0.002, begin=100),
]
