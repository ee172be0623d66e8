from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ovseg.datasets.scenes.classes import CLASSES
from ovseg.datasets.scenes.dataset import RenderScene, ScenesDataset  # registers them, too
from ovseg.datasets.scenes.render import render
from ovseg.errors import DatasetError
from ovseg.registry import DATASETS, TRANSFORMS
from ovseg.text import Vocabulary

CONFIG = Path(__file__).parents[3] / "configs" / "_base_" / "datasets" / "scenes.py"
PACK = dict(type="PackSegInputs", meta_keys=("img_path", "ori_shape", "caption", "segments_info"))


def test_the_benchmark_as_configured():
    config = Config.fromfile(CONFIG)
    dataset = DATASETS.build(config.test_dataloader.dataset)
    assert len(dataset) == 500
    vocabulary = Vocabulary.load(dataset.metainfo["vocabulary"])
    assert dataset.metainfo["classes"] == CLASSES == vocabulary.classes
    sample = dataset[123]
    truth = render((0, 123), 256)
    assert np.array_equal(sample["inputs"].numpy(), truth.image.transpose(2, 0, 1))
    found = sample["data_samples"]
    assert np.array_equal(found.gt_sem_seg.data[0].numpy(), truth.semantic)
    assert found.img_path == "scenes-val/000123"
    assert found.ori_shape == found.img_shape == (256, 256)
    assert found.reduce_zero_label is False
    assert dataset[123]["data_samples"].caption == found.caption != ""


def test_a_runner_can_load_it():
    from mmengine.runner import Runner

    loader = Config.fromfile(CONFIG).test_dataloader
    loader.update(num_workers=0, persistent_workers=False, batch_size=2)
    loader.dataset.update(length=3, size=32)
    with DefaultScope.overwrite_default_scope("ovseg"):
        batches = list(Runner.build_dataloader(loader))
    names = [s.img_path for batch in batches for s in batch["data_samples"]]
    assert names == ["scenes-val/000000", "scenes-val/000001", "scenes-val/000002"]


def test_a_part_of_it_keeps_names_and_scenes():
    whole, part = (ScenesDataset(length=6, size=32, pipeline=[RenderScene()]) for _ in range(2))
    part.get_subset_([4, 1])
    assert [part[i]["img_path"] for i in range(len(part))] == [
        "scenes-val/000004",
        "scenes-val/000001",
    ]
    assert np.array_equal(part[0]["img"], whole[4]["img"])


def test_splits_share_no_scene_and_no_name():
    datasets = [ScenesDataset(split, length=5) for split in ("val", "train", "check", 7)]
    infos = [dataset.get_data_info(i) for dataset in datasets for i in range(5)]
    assert len({info["scene"]["seed"] for info in infos}) == 20
    assert len({info["img_path"] for info in infos}) == 20
    assert datasets[3].get_data_info(4)["img_path"] == "scenes-7/000004"


def test_metainfo_tells_things_from_stuff_and_what_is_void():
    info = ScenesDataset(length=1).metainfo
    vocabulary = Vocabulary.load(info["vocabulary"])
    assert [i in info["groups"]["thing"] for i in range(len(CLASSES))] == list(vocabulary.is_thing)
    assert sorted(info["groups"]["thing"] + info["groups"]["stuff"]) == list(range(len(CLASSES)))
    assert info["ignore_index"] == 255
    assert len(info["palette"]) == len(CLASSES)
    assert info["label_map"] is None


def test_every_argument_reaches_the_renderer():
    exclude = [["green", "plain", "tree"]]
    dataset = ScenesDataset(
        "train", 2, size=[40, 56], zoom=2.0, num_things=[0, 1], exclude=exclude,
        pipeline=[RenderScene()],
    )  # fmt: skip
    expected = render(
        (1, 1), (40, 56), zoom=2.0, num_things=(0, 1), exclude=frozenset(map(tuple, exclude))
    )
    assert np.array_equal(dataset[1]["img"], expected.image)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(split="test"), "no split 'test'"),
        (dict(length=0), "length must be at least 1"),
        (dict(size=4), "at least 8 pixels"),
        (dict(size=(64, 4)), "at least 8 pixels"),
        (dict(size=(64, 64, 3)), r"side or \(H, W\)"),
        (dict(zoom=0), "zoom must be positive"),
        (dict(num_things=(3, 1)), "num_things"),
        (dict(num_things=(1,)), "num_things"),
        (dict(exclude=[("red", "car")]), "triples"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(DatasetError, match=message):
        ScenesDataset(**arguments)


def test_maps_for_instances_and_panoptic_segmentation():
    dataset = ScenesDataset(
        length=3, size=64, pipeline=[RenderScene(instances=True, panoptic=True)]
    )
    sample, scene = dataset[2], render((0, 2), 64)
    ids, segments = scene.panoptic()
    assert np.array_equal(sample["gt_instance_map"], scene.instances)
    assert np.array_equal(sample["gt_panoptic"], ids)
    assert sample["segments_info"] == segments
    assert sample["seg_fields"] == ["gt_seg_map", "gt_instance_map", "gt_panoptic"]
    assert sample["gt_seg_map"].dtype == np.uint8


def test_mmseg_transforms_keep_image_and_maps_together():
    pipeline = [
        RenderScene(instances=True, panoptic=True),
        dict(type="Resize", scale=(128, 96), keep_ratio=False),
        dict(type="RandomFlip", prob=1.0),
        dict(type="RandomCrop", crop_size=(80, 80)),
    ]
    dataset = ScenesDataset(length=1, size=64, pipeline=pipeline, test_mode=False)
    sample = dataset[0]
    assert sample["img"].shape == (80, 80, 3)
    segments = {s["id"]: s for s in sample["segments_info"]}
    for id_ in np.unique(sample["gt_panoptic"]):
        inside = sample["gt_panoptic"] == id_
        labels = np.unique(sample["gt_seg_map"][inside]).tolist()
        assert labels == [segments[int(id_)]["category_id"]]
        assert np.all((sample["gt_instance_map"][inside] > 0) == segments[int(id_)]["isthing"])


def test_packing_carries_what_is_asked_for():
    dataset = ScenesDataset(length=1, size=32, pipeline=[RenderScene(panoptic=True), PACK])
    found = dataset[0]["data_samples"]
    assert found.segments_info == render((0, 0), 32).panoptic()[1]
    assert tuple(found.gt_sem_seg.data.shape) == (1, 32, 32)


def test_the_transform_prints_its_settings_and_is_built_by_name():
    assert repr(TRANSFORMS.build(dict(type="RenderScene", panoptic=True))) == (
        "RenderScene(instances=False, panoptic=True)"
    )
