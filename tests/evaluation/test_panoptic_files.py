"""Segments on disk, as COCO's results are laid out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from ovseg.datasets.labels import read_panoptic_ids
from ovseg.errors import ConfigError
from ovseg.evaluation.panoptic_files import PanopticFiles
from ovseg.evaluation.predictions import prediction_names
from ovseg.evaluation.records import RecordStore

IDS = np.array([[0, 1, 256], [70000, 1, 0]])
SEGMENTS = [
    dict(id=1, category_id=1, isthing=True, score=0.5, area=2),
    dict(id=256, category_id=0, isthing=False, score=None),
    dict(id=70000, category_id=1),
]


def sample(**meta):
    made = SegDataSample(metainfo=dict(pred_segments=SEGMENTS, **meta))
    made.pred_panoptic = PixelData(data=torch.as_tensor(IDS)[None])
    return made


def test_files(tmp_path):
    keys = ["a/x.jpg", "b.jpg"]
    files = PanopticFiles(tmp_path / "found", prediction_names(keys), category_ids=[7, 90])
    files.save(sample(), keys[0])
    files.save(sample(image_id=139), keys[1])
    files.write_annotations()
    np.testing.assert_array_equal(read_panoptic_ids(tmp_path / "found/a/x.png"), IDS)
    first, second = json.loads((tmp_path / "found.json").read_text())["annotations"]
    assert (first["image_id"], first["file_name"]) == ("a/x", "a/x.png")
    assert (second["image_id"], second["file_name"]) == (139, "b.png")
    assert first["segments_info"] == [
        dict(id=1, category_id=90, score=0.5, area=2),
        dict(id=256, category_id=7),
        dict(id=70000, category_id=90),
    ]


def test_images_of_an_earlier_run_are_listed_too(tmp_path):
    def files(resume):
        store = RecordStore(tmp_path / "records", {}, resume=resume)
        store.start(resume)
        return PanopticFiles(tmp_path / "found", {}, store=store)

    before = files(resume=False)
    before.save(sample(), "a.jpg")
    before.store.commit()
    again = files(resume=True)
    again.save(sample(), "b.jpg")
    again.write_annotations()
    content = json.loads(again.annotation_file.read_text())
    assert [entry["image_id"] for entry in content["annotations"]] == ["a", "b"]


def test_a_model_without_segments(tmp_path):
    with pytest.raises(ConfigError, match="gave no segments for a"):
        PanopticFiles(tmp_path, {}).save(SegDataSample(), "a.jpg")
