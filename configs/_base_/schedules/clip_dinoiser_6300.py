# CLIP-DINOiser's schedule: 100 rounds of 1000 images, 63 iterations of 16 images each.
optim_wrapper = dict(
    type='GuardedOptimWrapper',
    precision='fp32',
    optimizer=dict(type='AdamW', lr=5e-5, weight_decay=0.01, betas=(0.9, 0.999)),
    # The convolution that learns of FOUND learns faster than the one that learns of DINO.
    constructor='RateByPart',
    paramwise_cfg=dict(rates={'head.bkg_decoder': 1e-2}),
)
param_scheduler = [dict(type='MultiStepLR', milestones=[5000], gamma=0.1, by_epoch=False)]
train_cfg = dict(type='EndlessTrainLoop', max_iters=6300)
custom_hooks = [
    dict(type='FrozenGuardHook'),
    dict(type='ReleaseHook', name='last.pt'),  # in the layout of the authors' checkpoint
]
