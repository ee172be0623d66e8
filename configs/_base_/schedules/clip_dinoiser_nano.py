# A schedule for the nano convolutions on the procedural scenes: minutes on two cores.
_base_ = './clip_dinoiser_6300.py'

optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    paramwise_cfg=dict(rates={'head.bkg_decoder': 1e-2}),
)
param_scheduler = [dict(type='MultiStepLR', milestones=[800], gamma=0.1, by_epoch=False)]
train_cfg = dict(max_iters=1000)
