# What every run shares.
default_scope = 'ovseg'
custom_imports = dict(imports=['ovseg.registry'], allow_failed_imports=False)

env_cfg = dict(
    cudnn_benchmark=False,  # image sizes vary
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),  # without a GPU the tools take gloo
)
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # The newest two are kept; an old one goes when the new one is whole.
    checkpoint=dict(type='WholeCheckpointHook', by_epoch=False, interval=1000, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
log_processor = dict(type='ShortLogProcessor')
log_level = 'INFO'
randomness = dict(seed=0)
load_from = None
resume = False
