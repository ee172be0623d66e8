"""tools/test.py with three metrics at once: scores, segments on disk, resuming."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ovseg.datasets.labels import read_panoptic_ids
from tests.evaluation.panoptic_reference import pq_compute
from tests.tiny_panoptic import BrightnessPanoptic
from tests.tiny_runs import write_folder_dataset
from tests.tools.test_test_tool import ROOT, records, run

CONFIG = """
_base_ = [{runtime!r}]
custom_imports = dict(imports=['ovseg.registry', 'tests.tiny_panoptic', 'tests.tiny_segmentor'])
model = dict(type='BrightnessPanoptic')
test_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='FolderPanopticDataset', data_root={data!r}, classes='classes.txt', test_mode=True,
        masks='classes', stuff=['wall'],
        pipeline=[dict(type='LoadImage'), dict(type='LoadMask'), dict(type='LoadPanoptic'),
                  dict(type='PackPanoptic')]))
test_evaluator = [
    dict(type='SegmentationScores'), dict(type='PanopticQuality'), dict(type='MaskAP')]
test_cfg = dict(type='TestLoop')
"""


@pytest.fixture
def place(tmp_path):
    """A folder with a dataset of five images and a config; the counter of images starts at 0."""
    write_folder_dataset(tmp_path / "data", images=5)
    runtime = str(ROOT / "configs" / "_base_" / "default_runtime.py")
    (tmp_path / "config.py").write_text(CONFIG.format(runtime=runtime, data=str(tmp_path / "data")))
    BrightnessPanoptic.seen = 0
    return tmp_path


def test_three_metrics_beside_each_other(place):
    assert run(place, "--out-panoptic", place / "found", "--show-dir", place / "shown") == 0
    (record,) = records(place)
    scores = record["scores"]
    assert scores["mIoU"] == scores["PQ"] == scores["AP50"] == 100
    assert scores["AP"] == pytest.approx(95)  # AP does not forgive the row that is void
    assert scores["PQ_stuff"] == scores["RQ_thing"] == 100
    quality = record["metrics"][1]
    assert [row["name"] for row in quality["per_class"]] == ["floor", "wall", "lamp"]
    # By their words floor and wall are stuff; here the dataset says that a floor is a thing.
    assert quality["per_class"][1]["tp"] == 5 and quality["num_images"] == 5
    assert len(list((place / "shown").iterdir())) == 5
    content = json.loads((place / "found.json").read_text())
    assert [a["file_name"] for a in content["annotations"]] == [f"00{i}.png" for i in range(5)]
    images = []
    for entry in content["annotations"]:
        ids = read_panoptic_ids(place / "found" / entry["file_name"])
        assert set(np.unique(ids)) - {0} == {s["id"] for s in entry["segments_info"]}
        truth = [dict(s, iscrowd=0) for s in entry["segments_info"]]
        images.append((ids, truth, ids, entry["segments_info"]))
    expected, _ = pq_compute(images, [dict(id=i, isthing=int(i != 1)) for i in range(3)])
    assert expected["All"]["pq"] == 1 and not list(place.rglob("*.part"))


def test_interrupted_run_goes_on(place):
    assert run(place, "--work-dir", place / "whole", "--out-panoptic", place / "once") == 0
    BrightnessPanoptic.seen, BrightnessPanoptic.fail_at = 0, 4
    try:
        assert run(place, "--out-panoptic", place / "found") == 130
    finally:
        BrightnessPanoptic.fail_at = None
    assert not (place / "found.json").exists() and len(list((place / "found").iterdir())) == 4
    BrightnessPanoptic.seen = 0
    assert run(place, "--out-panoptic", place / "found", "--resume") == 0
    assert BrightnessPanoptic.seen == 1
    (resumed,), (once,) = records(place), records(place, "whole")
    assert resumed["metrics"] == once["metrics"] and resumed["scores"] == once["scores"]
    assert (place / "found.json").read_text() == (place / "once.json").read_text()
    # With nothing left to do the file is still written.
    (place / "found.json").unlink()
    assert run(place, "--out-panoptic", place / "found", "--resume") == 0
    assert BrightnessPanoptic.seen == 1 and (place / "found.json").is_file()


MISTAKES = {
    "a semantic model": (
        ["--cfg-options", "model.type=BrightnessSegmentor"],
        "The model gave no segments for 000.png",
    ),
    "a folder that is a file": (["--out-panoptic", "config.py/found"], "Cannot write"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_end_in_one_line(place, mistake, capsys, monkeypatch):
    monkeypatch.chdir(place)
    arguments, message = MISTAKES[mistake]
    assert run(place, *arguments) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if ": error: " in line]
    assert len(errors) == 1 and message in errors[0]
