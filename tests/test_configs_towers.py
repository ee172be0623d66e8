"""Configs that train or score a tower of CLIP name what exists, and fit together."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from ovseg.apis.zoo import config_root
from ovseg.encoders.sources import clip_tags
from ovseg.registry import (
    METRICS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
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
    """What is said of all trainings stands in test_configs_train.py."""
    config = Config.fromfile(path)
    assert OPTIM_WRAPPERS.get(config.optim_wrapper.type) is not None
    assert OPTIM_WRAPPER_CONSTRUCTORS.get(config.optim_wrapper.constructor) is not None
    for step in config.train_dataloader.dataset.dataset.pipeline[1:]:
        TRANSFORMS.build(step)
    assert [hook.type for hook in config.custom_hooks] == ["FrozenGuardHook", "SaveTowerHook"]
    assert config.param_scheduler[-1].end == config.train_cfg.max_iters


def test_six_epochs():
    config = Config.fromfile(FOLDER / "clipself_eva02-b16_coco_train.py")
    seen = config.train_cfg.max_iters * config.train_dataloader.batch_size
    assert 0 <= seen - 6 * 118287 < 16


@pytest.mark.parametrize("path", SCORED, ids=lambda p: p.stem)
def test_scoring(path):
    config = Config.fromfile(path)
    assert [METRICS.get(m.type).__name__ for m in config.test_evaluator] == ["RegionAccuracy"]
    assert config.test_dataloader.dataset.pipeline[-1].type == "PackPanoptic"
