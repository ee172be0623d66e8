"""tools/test.py: scores, files, records, resuming, and mistakes answered in one line."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_runs import CLASSES, write_folder_dataset
from tests.tiny_segmentor import BrightnessSegmentor
from tools.test import main

ROOT = Path(__file__).parents[2]

CONFIG = """
_base_ = [{runtime!r}]
custom_imports = dict(imports=['ovseg.registry', 'tests.tiny_segmentor'])
model = dict(type='BrightnessSegmentor')
test_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='FolderDataset', data_root={data!r}, classes='classes.txt', test_mode=True,
        pipeline=[dict(type='LoadImage'), dict(type='LoadMask'), dict(type='PackSegInputs')]))
test_evaluator = dict(type='SegmentationScores')
test_cfg = dict(type='TestLoop')
"""


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with a dataset of five images and a config; the counter of images starts at 0."""
    write_folder_dataset(tmp_path / "data", images=5)
    runtime = str(ROOT / "configs" / "_base_" / "default_runtime.py")
    (tmp_path / "config.py").write_text(CONFIG.format(runtime=runtime, data=str(tmp_path / "data")))
    BrightnessSegmentor.seen = 0
    return tmp_path


def run(place: Path, *arguments: str) -> int:
    """The tool in this process."""
    given = [str(place / "config.py"), *map(str, arguments)]
    if "--work-dir" not in given:
        given += ["--work-dir", str(place / "work")]
    return main(given)


def records(place: Path, work="work") -> list[dict]:
    paths = sorted((place / work).glob("*/results.json"), key=os.path.getmtime)
    return [json.loads(path.read_text()) for path in paths]


def test_scores_files_and_record(place):
    assert run(place, "--out", place / "masks", "--seed", "5") == 0
    (record,) = records(place)
    assert record["scores"] == dict(mIoU=100, mAcc=100, aAcc=100, fwIoU=100)
    metric = record["metrics"][0]
    assert metric["absent"] == "union" and metric["num_images"] == 5
    assert [row["name"] for row in metric["per_class"]] == list(CLASSES)
    assert record["seed"] == 5 and record["weights"] == dict(eyes="none")
    assert record["config_file"].endswith("config.py") and record["checkpoint"] is None
    assert record["dataset"] == dict(
        type="FolderDataset", vocabulary=str(place / "data/classes.txt"), images=5, classes=3
    )
    assert record["config"]["model"]["type"] == "BrightnessSegmentor"
    saved = sorted(p.name for p in (place / "masks").iterdir())
    assert saved == [f"00{i}.png" for i in range(5)]
    labels = np.asarray(Image.open(place / "masks" / "002.png"))
    truth = np.asarray(Image.open(place / "data" / "masks" / "002.png"))
    np.testing.assert_array_equal(labels[1:], truth[1:])  # the first row is void in the truth


def test_overlays(place):
    assert run(place, "--show-dir", place / "shown") == 0
    assert len(list((place / "shown").glob("*.png"))) == 5


def test_interrupted_run_goes_on(place):
    whole = place / "whole"
    assert run(place, "--work-dir", whole) == 0

    BrightnessSegmentor.seen = 0
    BrightnessSegmentor.fail_at = 4  # in the third batch of two
    assert run(place, "--out", place / "masks") == 130
    assert len(list((place / "masks").iterdir())) == 4 and records(place) == []

    BrightnessSegmentor.fail_at, BrightnessSegmentor.seen = None, 0
    assert run(place, "--out", place / "masks", "--resume") == 0
    assert BrightnessSegmentor.seen == 1  # the four finished images were not computed again
    assert len(list((place / "masks").iterdir())) == 5
    (resumed,), (once,) = records(place), records(place, "whole")
    assert resumed["metrics"] == once["metrics"] and resumed["scores"] == once["scores"]
    assert resumed["resumed_images"] == 4


def test_resume_of_a_finished_run_computes_nothing(place):
    assert run(place) == 0
    BrightnessSegmentor.seen = 0
    assert run(place, "--resume") == 0
    assert BrightnessSegmentor.seen == 0
    scores = [record["scores"] for record in records(place)]
    assert scores[0] == scores[-1]
    # Label maps asked for only now are missing, so those images are computed.
    assert run(place, "--resume", "--out", place / "masks") == 0
    assert BrightnessSegmentor.seen == 5 and len(list((place / "masks").iterdir())) == 5


def test_without_resume_everything_is_computed(place):
    assert run(place) == 0 and run(place) == 0
    assert BrightnessSegmentor.seen == 10


def test_batch_size_changes_nothing_and_may_change_on_resume(place):
    assert run(place) == 0
    assert run(place, "--resume", "--cfg-options", "test_dataloader.batch_size=1") == 0
    assert BrightnessSegmentor.seen == 5


def test_good_checkpoint(place):
    path = place / "good.pth"
    torch.save(dict(state_dict=BrightnessSegmentor().state_dict()), path)
    assert run(place, path) == 0
    (record,) = records(place)
    assert record["checkpoint"]["path"] == str(path) and len(record["checkpoint"]["sha256"]) == 64


@pytest.mark.parametrize("option", ["--work-dir", "--out", "--show-dir", "--out-panoptic"])
@pytest.mark.parametrize("folder", ["taken", "taken/below"])
def test_folders_are_tried_before_anything_is_computed(place, option, folder, capsys):
    (place / "taken").write_text("")
    assert run(place, option, place / folder) == 2
    assert f"Cannot write to {place / folder} (" in capsys.readouterr().err.splitlines()[-1]
    assert BrightnessSegmentor.seen == 0


class Evil:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def missing_config(place):
    (place / "config.py").unlink()
    return []


def missing_base(place):
    (place / "config.py").write_text("_base_ = ['nowhere.py']")
    return []


def missing_checkpoint_of_the_config(place):
    return ["--cfg-options", "load_from=gone.pth"]


def missing_checkpoint(place):
    return [place / "nowhere.pth"]


def other_checkpoint(place):
    torch.save(torch.nn.Linear(2, 2).state_dict(), place / "other.pth")
    return [place / "other.pth"]


def evil_checkpoint(place):
    torch.save(dict(state_dict={}, x=Evil(place / "touched")), place / "evil.pth")
    return [place / "evil.pth"]


def damaged_checkpoint(place):
    (place / "bad.pth").write_bytes(b"PK no")
    return [place / "bad.pth"]


def not_a_state_dict(place):
    torch.save([1, 2], place / "list.pth")
    return [place / "list.pth"]


def other_vocabulary(place):
    return ["--cfg-options", "model.vocabulary=['cat','dog']"]


def missing_data(place):
    return ["--cfg-options", f"test_dataloader.dataset.data_root={place / 'elsewhere'}"]


def wrong_labels(place):
    Image.fromarray(np.full((20, 24), 77, np.uint8)).save(place / "data" / "masks" / "000.png")
    return []


def broken_image(place):
    (place / "data" / "images" / "003.png").write_bytes(b"")
    return []


def broken_image_in_a_worker(place):
    broken_image(place)
    return ["--cfg-options", "test_dataloader.num_workers=1"]


def shuffled_vocabulary(place):
    return ["--cfg-options", "model.vocabulary=['wall','floor','lamp']"]


def no_dataset(place):
    (place / "config.py").write_text("model = dict(type='BrightnessSegmentor')")
    return []


def syntax_error(place):
    with (place / "config.py").open("a") as file:
        file.write("model = dict(\n")
    return []


def unknown_name(place):
    with (place / "config.py").open("a") as file:
        file.write("model.update(half=nothing)\n")
    return []


def no_model(place):
    return ["--cfg-options", "model=3"]


def changed(*options):
    """A mistake that is made at the command line alone."""

    def mistake(place):
        return ["--cfg-options", *options]

    mistake.__name__ = "_".join(options)
    return mistake


def resumed_with_other_model(place):
    assert run(place) == 0
    return ["--resume", "--seed", "9"]


def resumed_with_foreign_metric(place):
    return ["--resume", "--cfg-options", "test_evaluator.type=IoUMetric"]


MISTAKES = {
    missing_config: "config.py does not exist",
    missing_base: "inherits from a file that is missing",
    missing_checkpoint_of_the_config: "gone.pth does not exist",
    missing_checkpoint: "nowhere.pth does not exist",
    other_checkpoint: "other.pth belongs to another model than this BrightnessSegmentor",
    evil_checkpoint: "evil.pth was not loaded because it would run code",
    damaged_checkpoint: "bad.pth is not a readable checkpoint",
    not_a_state_dict: "list.pth holds no state dict",
    other_vocabulary: "has 2 classes but FolderDataset has 3",
    missing_data: "does not exist",
    wrong_labels: "000.png holds the label(s) 77",
    broken_image: "003.png is empty",
    broken_image_in_a_worker: "003.png is empty",
    shuffled_vocabulary: "has 'floor' as class 1 but FolderDataset has it as class 0",
    no_dataset: "has no test_dataloader",
    syntax_error: "'(' was never closed in line",
    unknown_name: "NameError: name 'nothing' is not defined",
    no_model: "describes no model",
    changed("model.type=NoSuchModel"): "NoSuchModel is not in the ovseg::model registry",
    changed("model.foo=3"): "unexpected keyword argument 'foo'",
    changed("model.type.foo=3"): "changed by model.type.foo=3 (type={'foo': 3} in child config",
    changed("test_dataloader.dataset.type=NoData"): "NoData is not in the ovseg::dataset registry",
    changed("test_dataloader.dataset.foo=3"): "unexpected keyword argument 'foo'",
    changed("test_dataloader.foo=3"): "unexpected keyword argument 'foo'",
    changed(
        "test_dataloader.sampler.type=NoSampler"
    ): "NoSampler is not in the ovseg::data sampler",
    changed("test_evaluator.type=NoMetric"): "NoMetric is not in the ovseg::metric registry",
    changed("test_evaluator.foo=3"): "unexpected keyword argument 'foo'",
    changed("test_cfg.type=NoLoop"): "NoLoop is not in the ovseg::loop registry",
    resumed_with_other_model: "seed was 0 and is 9",
    resumed_with_foreign_metric: "IoUMetric keeps no records",
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda f: f.__name__)
def test_mistakes_end_in_one_line(place, mistake, capsys):
    arguments = mistake(place)
    capsys.readouterr()
    assert run(place, *arguments) == 2
    complaint = capsys.readouterr().err
    error = [line for line in complaint.splitlines() if ": error: " in line]
    assert len(error) == 1 and MISTAKES[mistake] in error[0]
    assert ", line " not in error[0] and not (place / "touched").exists()


def test_a_mistake_at_the_command_line(place):
    command = [sys.executable, "tools/test.py", str(place / "config.py"), "nowhere.pth"]
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("test.py: error: Checkpoint nowhere.pth")


@pytest.mark.parametrize("where", ["__init__", "test_step"])
@pytest.mark.parametrize("bug", [KeyError("no such name"), TypeError("not a number")], ids=repr)
def test_bugs_keep_their_traceback(place, where, bug, monkeypatch):
    def fail(*arguments, **options):
        raise bug

    monkeypatch.setattr(BrightnessSegmentor, where, fail)
    with pytest.raises(type(bug), match=bug.args[0]):
        run(place)


REAL = {
    # dataset config: images and classes of the real samples
    "ade20k-150": (3, 150),
    "coco-panoptic-133": (60, 133),
}


@pytest.mark.parametrize("dataset", REAL)
def test_real_samples_in_their_own_layout(place, sample_data, dataset, monkeypatch):
    monkeypatch.setenv("OVSEG_DATA", str(sample_data))
    bases = [str(ROOT / "configs/_base_" / f"{name}.py") for name in ("default_runtime",)]
    bases.append(str(ROOT / "configs/_base_/datasets" / f"{dataset}.py"))
    (place / "config.py").write_text(
        f"_base_ = {bases}\nmodel = dict(type='BrightnessSegmentor')\n"
    )
    assert run(place, "--cfg-options", "test_dataloader.num_workers=0") == 0
    (record,) = records(place)
    images, classes = REAL[dataset]
    assert record["dataset"]["images"] == images == record["metrics"][0]["num_images"]
    per_class = record["metrics"][0]["per_class"]
    assert len(per_class) == classes and record["vocabulary"]["name"] == dataset
    assert 0 < record["scores"]["aAcc"] < 60
    # Every pixel of the ground truth that is not void was counted.
    assert sum(row["truth"] for row in per_class) > 100_000 * images


def test_two_processes_give_the_scores_of_one(place):
    assert run(place, "--work-dir", place / "one", "--out", place / "masks-1") == 0
    command = ["bash", str(ROOT / "tools" / "dist_test.sh"), str(place / "config.py")]
    options = ["--work-dir", str(place / "two"), "--out", str(place / "masks-2")]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = dict(os.environ, PYTHON=sys.executable, PORT=port, OMP_NUM_THREADS="1")
    done = subprocess.run(
        [*command, "2", *options],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (one,), (two,) = records(place, "one"), records(place, "two")
    assert two["metrics"] == one["metrics"] and two["scores"] == one["scores"]
    names = [sorted(p.name for p in (place / f"masks-{k}").iterdir()) for k in (1, 2)]
    assert names[0] == names[1]
