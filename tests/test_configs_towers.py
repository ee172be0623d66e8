"""Configs that train or score a tower of CLIP name what exists, and fit together."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from ovseg.apis.zoo import config_root
from ovseg.encoders.sources import clip_tags
from ovseg.registry import (
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
)

FOLDER = config_root() / "clipself"
TRAINED = sorted(FOLDER.glob("*_train.py"))
SCORED = sorted(FOLDER.glob("regions_*.py"))


def encoders(model):
    return [model[k] for k in ("student", "image_encoder", "text_encoder") if k in model]


@pytest.mark.parametrize("path", [*TRAINED, *SCORED], ids=lambda p: p.stem)
def test_towers_exist(path):
    model = Config.fromfile(path).model
    assert MODELS.get(model.type) is not None
    for encoder in encoders(model):
        assert MODELS.get(encoder.type) is not None
        assert encoder.pretrained in clip_tags(encoder.model)
    assert len({(e.model, e.pretrained) for e in encoders(model)}) == 1


@pytest.mark.parametrize("path", TRAINED, ids=lambda p: p.stem)
def test_training(path):
    config = Config.fromfile(path)
    samples = config.train_dataloader.dataset.dataset
    wrapper, last = config.optim_wrapper, config.train_cfg.max_iters
    for registry, part in (
        (DATASETS, config.train_dataloader.dataset),
        (DATASETS, samples),
        (LOOPS, config.train_cfg),
        (OPTIM_WRAPPERS, wrapper),
        *((TRANSFORMS, step) for step in samples.pipeline),
        *((HOOKS, hook) for hook in config.custom_hooks),
        *((PARAM_SCHEDULERS, step) for step in config.param_scheduler),
    ):
        assert registry.get(part.type) is not None, part.type
    assert OPTIM_WRAPPER_CONSTRUCTORS.get(wrapper.constructor) is not None
    for step in samples.pipeline[1:]:
        TRANSFORMS.build(step)
    assert [hook.type for hook in config.custom_hooks] == ["FrozenGuardHook", "SaveTowerHook"]
    for step in config.param_scheduler:
        assert step.end <= last
    assert config.param_scheduler[-1].end == last
    assert config.get("test_dataloader") is None


def test_six_epochs():
    config = Config.fromfile(FOLDER / "clipself_eva02-b16_coco_train.py")
    seen = config.train_cfg.max_iters * config.train_dataloader.batch_size
    assert 0 <= seen - 6 * 118287 < 16


@pytest.mark.parametrize("path", SCORED, ids=lambda p: p.stem)
def test_scoring(path):
    config = Config.fromfile(path)
    assert [METRICS.get(m.type).__name__ for m in config.test_evaluator] == ["RegionAccuracy"]
    assert config.test_dataloader.dataset.pipeline[-1].type == "PackPanoptic"
