"""A training run of CLIPSelf that takes a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from tests.segmentors.distillers import clipself_case as case
from tests.segmentors.distillers.towers import tower_config
from tests.tiny_runs import scene_training


def clipself_config(work_dir: Path | str, kind: str = "vit", **changes: Any) -> Config:
    """Four iterations on eight scenes, four at a time."""
    loaded = scene_training(
        work_dir,
        model=dict(type="CLIPSelf", student=tower_config(kind), unlocked_blocks=2, sizes=(32, 48)),
        pipeline=[
            dict(type="RenderScene"),
            dict(type="GridBoxes", max_split=3, max_boxes=4),
            dict(type="PackRegions", size=48, crop_size=case.CROP),
        ],
        iterations=4,
        interval=2,
        keep=2,
        optim_wrapper=dict(
            type="GuardedOptimWrapper",
            constructor="DecayOfMatrices",
            optimizer=dict(type="AdamW", lr=0.003, weight_decay=0.1),
        ),
        param_scheduler=[dict(type="CosineAnnealingLR", begin=0, end=4, by_epoch=False)],
        custom_hooks=[dict(type="FrozenGuardHook"), dict(type="SaveTowerHook")],
        find_unused_parameters=True,
    )
    loaded.merge_from_dict(changes)
    return loaded
