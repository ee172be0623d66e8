"""A training run of CLIPSelf that takes a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from tests.segmentors.distillers import clipself_case as case
from tests.segmentors.distillers.towers import tower_config


def clipself_config(work_dir: Path | str, kind: str = "vit", **changes: Any) -> Config:
    """Four iterations on eight scenes, four at a time."""
    config = dict(
        default_scope="ovseg",
        work_dir=str(work_dir),
        experiment_name=str(work_dir),  # MMEngine keeps one logger per name and second
        model=dict(type="CLIPSelf", student=tower_config(kind), unlocked_blocks=2, sizes=(32, 48)),
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type="EndlessSampler"),
            dataset=dict(
                type="SeededSamples",
                dataset=dict(
                    type="ScenesDataset",
                    split="train",
                    length=8,
                    size=48,
                    test_mode=False,
                    pipeline=[
                        dict(type="RenderScene"),
                        dict(type="GridBoxes", max_split=3, max_boxes=4),
                        dict(type="PackRegions", size=48, crop_size=case.CROP),
                    ],
                ),
            ),
        ),
        optim_wrapper=dict(
            type="GuardedOptimWrapper",
            constructor="DecayOfMatrices",
            optimizer=dict(type="AdamW", lr=0.003, weight_decay=0.1),
        ),
        param_scheduler=[dict(type="CosineAnnealingLR", begin=0, end=4, by_epoch=False)],
        train_cfg=dict(type="EndlessTrainLoop", max_iters=4),
        default_hooks=dict(
            logger=dict(type="LoggerHook", interval=1, log_metric_by_epoch=False),
            checkpoint=dict(
                type="WholeCheckpointHook", by_epoch=False, interval=2, max_keep_ckpts=2
            ),
            sampler_seed=None,
        ),
        custom_hooks=[dict(type="FrozenGuardHook"), dict(type="SaveTowerHook")],
        log_processor=dict(type="ShortLogProcessor", window_size=1),
        randomness=dict(seed=3),
        find_unused_parameters=True,
        launcher="none",
    )
    loaded = Config(config)
    loaded.merge_from_dict(changes)
    return loaded
