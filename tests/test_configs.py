"""Every config can be read, names what exists, and its classes are those of its dataset."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from ovseg.apis.segmenter import _set_sources
from ovseg.apis.zoo import config_root
from ovseg.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from ovseg.segmentors import Protocol
from ovseg.text import Vocabulary

CONFIGS = sorted(p for p in config_root().glob("*/*.py") if p.parent.name != "_base_")


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def config(request):
    return Config.fromfile(request.param)


def test_there_are_configs():
    assert len(CONFIGS) > 5


def test_every_named_part_is_registered(config):
    model = config.model
    for part in (model, model.image_encoder, model.text_encoder, model.attention):
        assert MODELS.get(part.type) is not None, part.type
    if "test_dataloader" in config:
        dataset = config.test_dataloader.dataset
        assert DATASETS.get(dataset.type) is not None
        assert METRICS.get(config.test_evaluator.type) is not None
        assert all(TRANSFORMS.get(step.type) is not None for step in dataset.pipeline)


@pytest.mark.filterwarnings("ignore:.*random weights")
def test_parts_without_weights_can_be_built(config):
    model = config.model
    _set_sources(model, False, None, None)  # learned layers are built without their files
    for key in ("attention", "guide", "aggregator", "foreground", "refiner"):
        if model.get(key) is not None:
            part = MODELS.build(model[key])
            name = getattr(part, "encoder", None)
            assert name in (None, "clip", *model.get("encoders", {})), key
    for encoder in model.get("encoders", {}).values():
        assert MODELS.get(encoder.type) is not None, encoder.type


def test_a_foreground_threshold_has_a_foreground_and_a_background(config):
    if config.model.protocol.get("foreground_threshold", 0) > 0:
        assert config.model.foreground is not None
        vocabulary = Vocabulary.load(config.model.vocabulary)
        assert vocabulary.background == 0


PUBLISHED = {
    "proxyclip_vit-b16_ade20k-150": (448, 336, 112, 40, 0.0, 0.0),
    "proxyclip_vit-b16_coco-stuff-171": (336, 336, 112, 40, 0.0, 0.0),
    "proxyclip_vit-b16_cityscapes-19": (448, 224, 112, 40, 0.0, 0.0),
    "proxyclip_vit-b16_voc-21": (336, 336, 112, 40, 0.2, 0.0),
    "proxyclip_vit-b16_coco-object-81": (336, 336, 112, 40, 0.25, 0.0),
    "clip_dinoiser_vit-b16_ade20k-150": (448, 448, 224, 100, 0.0, 0.0),
    "clip_dinoiser_vit-b16_coco-stuff-171": (448, 448, 224, 100, 0.0, 0.0),
    "clip_dinoiser_vit-b16_cityscapes-19": (448, 448, 224, 100, 0.0, 0.0),
    "clip_dinoiser_vit-b16_voc-21": (448, 448, 224, 100, 0.0, 0.99),
    "clip_dinoiser_vit-b16_coco-object-81": (448, 448, 224, 100, 0.0, 0.99),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_constants_of_dino_refined_methods(name):
    path = config_root() / name.split("_vit")[0] / f"{name}.py"
    p = Protocol.load(Config.fromfile(path).model.protocol)
    found = (p.short_side, p.crop, p.stride, p.logit_scale, p.prob_threshold)
    assert (*found, p.foreground_threshold) == PUBLISHED[name]
    assert p.long_side == 2048


def test_the_protocol_is_named_and_possible(config):
    protocol = Protocol.load(config.model.protocol)
    assert protocol.name != "custom"


def test_both_towers_are_of_one_model(config):
    image, text = config.model.image_encoder, config.model.text_encoder
    assert (image.model, image.pretrained) == (text.model, text.pretrained)


def test_classes_are_those_of_the_dataset(config):
    if "test_dataloader" not in config:
        assert config.model.get("vocabulary") is None, "a model for any picture has no classes"
        return
    meta = DATASETS.get(config.test_dataloader.dataset.type).METAINFO
    classes = meta.get("classes") or Vocabulary.load(meta["vocabulary"]).classes
    assert len(Vocabulary.load(config.model.get("vocabulary") or meta["vocabulary"])) == len(
        classes
    )


def test_every_method_folder_is_documented():
    for folder in {path.parent for path in CONFIGS}:
        assert (folder / "README.md").is_file(), folder
        assert (folder / "metafile.yml").is_file(), folder
