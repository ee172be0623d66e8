"""Every config can be read, names what exists, and its classes are those of its dataset."""

from __future__ import annotations

import inspect
from copy import deepcopy
from pathlib import Path

import pytest
from mmengine.config import Config

from ovseg.apis.segmenter import _set_sources
from ovseg.apis.zoo import config_root
from ovseg.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from ovseg.segmentors import Protocol
from ovseg.text import Vocabulary

CONFIGS = {
    path.stem: Config.fromfile(path)
    for path in sorted(config_root().glob("*/*.py"))
    if path.parent.name != "_base_"
}
#: The others train or score a tower: test_configs_towers.py and test_configs_train.py.
SEGMENTORS = {
    name: config
    for name, config in CONFIGS.items()
    if "protocol" in inspect.signature(MODELS.get(config.model.type)).parameters
}


@pytest.fixture(scope="module", params=SEGMENTORS)
def config(request):
    """One config of a segmentor, read once for all tests: they must not change it."""
    return SEGMENTORS[request.param]


def test_there_are_configs():
    assert len(SEGMENTORS) > 200
    others = {config.model.type for name, config in CONFIGS.items() if name not in SEGMENTORS}
    assert others == {"CLIPSelf", "RegionCLIP", "DINOiserDistiller", "RegionClassifier"}


def test_every_named_part_is_registered(config):
    model = config.model
    for key, part in {"model": model, **model}.items():
        if isinstance(part, dict) and "type" in part:
            assert MODELS.get(part["type"]) is not None, key
    if "test_dataloader" in config:
        dataset = config.test_dataloader.dataset
        assert DATASETS.get(dataset.type) is not None
        metrics = config.test_evaluator
        for metric in metrics if isinstance(metrics, list) else [metrics]:
            assert METRICS.get(metric.type) is not None
        assert all(TRANSFORMS.get(step.type) is not None for step in dataset.pipeline)


@pytest.mark.filterwarnings("ignore:.*random weights")
def test_parts_without_weights_can_be_built(config):
    model = deepcopy(config.model)
    _set_sources(model, False, None, None)  # learned layers are built without their files
    for key in ("attention", "guide", "aggregator", "foreground", "refiner"):
        if model.get(key) is not None:
            part = MODELS.build(model[key])
            name = getattr(part, "encoder", None)
            assert name in (None, "clip", *model.get("encoders", {})), key
    for encoder in model.get("encoders", {}).values():
        assert MODELS.get(encoder.type) is not None, encoder.type


def test_thresholds_have_a_background(config):
    protocol = Protocol.load(config.model.protocol)
    if protocol.foreground_threshold > 0:
        assert config.model.foreground is not None
    if protocol.needs_background:
        assert Vocabulary.load(config.model.vocabulary).background == 0


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
    vocabulary = config.model.get("vocabulary") or meta["vocabulary"]
    assert len(Vocabulary.load(vocabulary)) == len(classes)
    if meta.get("vocabulary"):
        name = vocabulary.partition("/")[0]
        assert name == meta["vocabulary"]
        endings = (f"_{name}.py",)
        if isinstance(config.test_evaluator, list):
            endings += ("-panoptic.py",)
        assert config.filename.endswith(endings)


def test_every_method_folder_is_documented():
    for folder in {Path(config.filename).parent for config in CONFIGS.values()}:
        assert (folder / "README.md").is_file(), folder
        assert (folder / "metafile.yml").is_file(), folder
