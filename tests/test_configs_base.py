"""The building blocks of the configs can be loaded, and name things that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from ovseg.registry import DATASETS, LOOPS, METRICS, TRANSFORMS
from ovseg.text import Vocabulary, list_vocabularies

BASE = Path(__file__).parents[1] / "configs" / "_base_"
DATASET_FILES = sorted((BASE / "datasets").glob("*.py"))


@pytest.mark.parametrize("path", DATASET_FILES, ids=lambda p: p.stem)
def test_datasets(path, monkeypatch):
    monkeypatch.setenv("OVSEG_DATA", "/somewhere")
    config = Config.fromfile(path)
    loader = config.test_dataloader
    assert loader.dataset.get("data_root", "/somewhere").startswith("/somewhere")
    assert DATASETS.get(loader.dataset.type).__module__.startswith("ovseg.")
    metrics = config.test_evaluator
    for metric in metrics if isinstance(metrics, list) else [metrics]:
        assert METRICS.get(metric.type) is not None
    assert LOOPS.get(config.test_cfg.type) is not None
    assert all(TRANSFORMS.get(step.type) is not None for step in loader.dataset.pipeline)


def test_every_benchmark_with_a_vocabulary_has_its_dataset():
    files = {p.stem for p in DATASET_FILES if not p.stem.endswith(("-panoptic", "-instance"))}
    assert files == {*list_vocabularies(), "folder"}


def test_panoptic_datasets_have_all_three_metrics():
    names = {"coco", "ade20k", "cityscapes", "mapillary", "scenes", "folder"}
    assert {p.stem for p in DATASET_FILES if p.stem.endswith("-panoptic")} == {
        f"{name}-panoptic" for name in names
    }
    for name in names:
        config = Config.fromfile(BASE / "datasets" / f"{name}-panoptic.py")
        kinds = [metric.type for metric in config.test_evaluator]
        assert kinds == ["SegmentationScores", "PanopticQuality", "MaskAP"]
        assert config.test_dataloader.dataset.pipeline[-1].type == "PackPanoptic"


@pytest.mark.parametrize("path", DATASET_FILES, ids=lambda p: p.stem)
def test_the_vocabulary_is_that_of_the_dataset(path):
    config = Config.fromfile(path)
    if "vocabulary" in config and not path.stem.startswith("folder"):
        metainfo = DATASETS.get(config.test_dataloader.dataset.type).METAINFO
        assert config.vocabulary == metainfo["vocabulary"]
        assert path.stem == config.vocabulary or path.stem.endswith(("-panoptic", "-instance"))
        classes = Vocabulary.load(config.vocabulary).classes
        assert len(metainfo.get("classes", classes)) == len(classes)


def test_data_lies_in_data_by_default(monkeypatch):
    monkeypatch.delenv("OVSEG_DATA", raising=False)
    config = Config.fromfile(BASE / "datasets" / "ade20k-150.py")
    assert config.test_dataloader.dataset.data_root == "data/ADEChallengeData2016"


def test_runtime():
    config = Config.fromfile(BASE / "default_runtime.py")
    assert config.default_scope == "ovseg" and config.randomness.seed == 0
