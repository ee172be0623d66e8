# CLIPSelf's schedule: 44,358 iterations at 16 images, 6 rounds of COCO's train2017.
optim_wrapper = dict(
    type='GuardedOptimWrapper',
    precision='fp32',  # published with mixed precision: tools/train.py --amp, or 'bf16'
    optimizer=dict(type='AdamW', lr=1e-5, weight_decay=0.1, betas=(0.9, 0.999), eps=1e-8),
    accumulative_counts=1,  # with fewer images at a time: how often until 16 are together
    constructor='DecayOfMatrices',
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, begin=0, end=1000, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0.0, begin=1000, end=44358, by_epoch=False),
]
train_cfg = dict(type='EndlessTrainLoop', max_iters=44358)
custom_hooks = [
    dict(type='FrozenGuardHook'),
    # blend: share of the trained weights in the file that is saved beside the checkpoints
    dict(type='SaveTowerHook', name='tower.safetensors', blend=1.0),
]
# Where q and k have matrices of their own, those of the last block are never read.
find_unused_parameters = True
