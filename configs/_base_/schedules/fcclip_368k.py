# FC-CLIP's schedule: 368,750 iterations at 16 images, 50 rounds of COCO.
optim_wrapper = dict(
    type='GuardedOptimWrapper',
    precision='fp32',  # published with mixed precision: tools/train.py --amp, or 'bf16'
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05, betas=(0.9, 0.999)),
    clip_grad=dict(max_norm=0.01, norm_type=2),  # of all gradients together
    accumulative_counts=1,  # with fewer images at a time: how often until 16 are together
    # Norms and embeddings do not decay. These are embeddings too.
    constructor='DecayByKind',
    paramwise_cfg=dict(
        undecayed=['decoder.query', 'decoder.place', 'decoder.level', 'decoder.classifier.void']),
)
# The public code names a warm-up of 10 iterations, but with a factor of 1: there is none.
param_scheduler = [
    dict(type='MultiStepLR', milestones=[327778, 355092], gamma=0.1, by_epoch=False),
]
train_cfg = dict(type='EndlessTrainLoop', max_iters=368750)
custom_hooks = [
    dict(type='FrozenGuardHook'),
    # dict(type='TrainedEMAHook', momentum=0.0002),  # running means; not in the published schedule
]
