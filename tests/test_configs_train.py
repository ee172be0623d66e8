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

CONFIGS = {path.stem: Config.fromfile(path) for path in sorted(config_root().glob("*/*_train.py"))}
MODEL_TYPES = {name: config.model.type for name, config in CONFIGS.items()}


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


def only(model_type):
    """For a test of the configs that train one kind of model."""
    names = [name for name, found in MODEL_TYPES.items() if found == model_type]
    return pytest.mark.parametrize("config", names, indirect=True)


def test_there_are_some():
    assert set(MODEL_TYPES.values()) == {"FCCLIP", "DINOiserDistiller", "CLIPSelf", "RegionCLIP"}


def test_every_named_part_is_registered(config):
    loader = config.train_dataloader
    samples = loader.dataset.dataset
    for registry, part in (
        (DATA_SAMPLERS, loader.sampler),
        (DATASETS, loader.dataset),
        (DATASETS, samples),
        (LOOPS, config.train_cfg),
        *((MODELS, config.model[key]) for key in ("criterion", "guide") if key in config.model),
        *((TRANSFORMS, step) for step in samples.pipeline),
        *((HOOKS, hook) for hook in config.custom_hooks),
        *((HOOKS, hook) for hook in config.default_hooks.values()),
        *((PARAM_SCHEDULERS, step) for step in config.param_scheduler),
    ):
        assert registry.get(part.type) is not None, part.type


def test_nothing_is_validated_and_no_trained_head_is_loaded(config):
    assert config.get("test_dataloader") is None
    head = config.model.get("head") or {}
    assert head.get("pretrained") is None and head.get("weights") is None


@only("FCCLIP")
@pytest.mark.filterwarnings("ignore:.*random weights")
def test_what_does_not_decay_exists(config):
    """Built small: names do not depend on sizes."""
    model = Config(config.model.to_dict())
    for tower in (model.image_encoder, model.text_encoder):
        tower.update(model="nano-convnext", pretrained=None)
    model.train_vocabulary = "scenes"  # a folder of one's own is not there
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


@only("DINOiserDistiller")
@pytest.mark.filterwarnings("ignore:.*random weights")
def test_distillers_are_built_and_train_what_has_a_rate(config):
    """With small towers; the convolutions are as wide as CLIP's tokens."""
    model = Config(config.model.to_dict())
    model.image_encoder.update(model="nano-vit-8", pretrained=None)
    for encoder in model.encoders.values():
        encoder.update(model="nano-dino-8", pretrained=None)
    if "pretrained" in model.foreground:
        model.foreground.pretrained = None
    wrapper = dict(config.optim_wrapper)
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.get(wrapper.pop("constructor"))
    built = constructor(wrapper, wrapper.pop("paramwise_cfg"))(MODELS.build(model.to_dict()))
    rates = [group["lr"] for group in built.optimizer.param_groups]
    assert rates == [config.optim_wrapper.optimizer.lr, 0.01]
    assert any(hook.type == "ReleaseHook" for hook in config.custom_hooks)


def test_the_published_schedule_of_clip_dinoiser():
    """configs/clip_dinoiser.yaml of the authors: epochs, batch, rates, milestone, crop."""
    config = Config.fromfile(config_root() / "clip_dinoiser" / "clip_dinoiser_vit-b16_train.py")
    loader, wrapper = config.train_dataloader, config.optim_wrapper
    images = loader.dataset.dataset.length
    assert (images, loader.batch_size) == (1000, 16)
    assert config.train_cfg.max_iters == 100 * -(-images // loader.batch_size)
    assert config.param_scheduler[0].milestones == [5000]
    assert (wrapper.optimizer.lr, *wrapper.paramwise_cfg.rates.values()) == (5e-5, 1e-2)
    assert (config.model.gamma, config.model.block, config.model.guide.feature) == (0.2, -3, "v")
