"""Every config that trains builds, from its samples to its optimizer."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from ovseg.apis.zoo import config_root
from ovseg.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
)

CONFIGS = sorted(config_root().glob("*/*_train.py"))


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda path: path.stem)
def config(request):
    return Config.fromfile(request.param)


def test_there_are_some():
    assert CONFIGS


def test_every_named_part_is_registered(config):
    loader = config.train_dataloader
    samples = loader.dataset.dataset
    for registry, part in (
        (DATA_SAMPLERS, loader.sampler),
        (DATASETS, loader.dataset),
        (DATASETS, samples),
        (LOOPS, config.train_cfg),
        (MODELS, config.model.criterion),
        *((TRANSFORMS, step) for step in samples.pipeline),
        *((HOOKS, hook) for hook in config.custom_hooks),
        *((HOOKS, hook) for hook in config.default_hooks.values()),
        *((PARAM_SCHEDULERS, step) for step in config.param_scheduler),
    ):
        assert registry.get(part.type) is not None, part.type


def test_nothing_is_validated_and_no_trained_head_is_loaded(config):
    assert config.get("test_dataloader") is None
    assert config.model.get("head") is None


@pytest.mark.filterwarnings("ignore:.*random weights")
def test_what_does_not_decay_exists(config):
    """Built small: names do not depend on sizes."""
    model = Config(config.model.to_dict())
    for tower in (model.image_encoder, model.text_encoder):
        tower.update(model="nano-convnext", pretrained=None)
    model.pixel_decoder.update(layers=1)
    model.decoder.update(layers=1, queries=3)
    wrapper = dict(config.optim_wrapper)
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.get(wrapper.pop("constructor"))
    built = constructor(wrapper, wrapper.pop("paramwise_cfg"))(MODELS.build(model.to_dict()))
    assert [group["weight_decay"] for group in built.optimizer.param_groups] == [0.05, 0.0]


def test_steps_are_within_the_schedule(config):
    last = config.train_cfg.max_iters
    for step in config.param_scheduler:
        assert max(step.get("milestones", [0])) < last
        assert step.get("end", last) <= last
