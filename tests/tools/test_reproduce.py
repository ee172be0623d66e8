"""tools/reproduce.py on the nano models: tables, going on, what is missing."""

from __future__ import annotations

import json

import pytest
import torch

from ovseg.apis import testing
from ovseg.apis.running import FrozenRunner
from tests.datasets.files import image, mask, rows
from tools.reproduce import main

QUICK = ["--cfg-options", "test_dataloader.num_workers=0", "model.templates=none"]


def write_voc(root, labels=(1, 20)):
    """An image for each label, named by the letters."""
    folder = root / "VOCdevkit/VOC2012"
    letters = "abcdef"[: len(labels)]
    for name, label in zip(letters, labels, strict=True):
        image(folder / f"JPEGImages/{name}.jpg", (40, 60))
        mask(
            folder / f"SegmentationClass/{name}.png",
            rows(0, label, label, 255).repeat(10, 0).repeat(8, 1)[:, :60],
        )
    names = folder / "ImageSets/Segmentation/val.txt"
    names.parent.mkdir(parents=True, exist_ok=True)
    names.write_text("\n".join(letters) + "\n")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Miniatures of VOC and nothing else; tables go to `out`."""
    write_voc(tmp_path / "data")
    monkeypatch.setenv("OVSEG_DATA", str(tmp_path / "data"))
    return tmp_path


def run(place, *arguments, options=()):
    return main([*arguments, "--out", str(place / "out"), *QUICK, *options])


def entries(place, name):
    content = json.loads((place / "out" / f"{name}.json").read_text())
    assert content["format"] == "ovseg.reproduction/1"
    return {entry["benchmark"]: entry for entry in content["comparisons"]}


def test_what_is_there_is_scored_and_the_rest_told(place, capsys, monkeypatch):
    asked = ["maskclip_nano", "cityscapes-19", "voc-20", "coco-panoptic"]
    assert run(place, *asked) == 1
    found = entries(place, "maskclip_nano")
    assert "Register at https://www.cityscapes-dataset.com" in found["cityscapes-19"]["problem"]
    assert "gives classes and no segments" in found["coco-panoptic"]["problem"]
    voc = found["voc-20"]
    assert voc["images"] == 2 and 0 <= voc["scores"]["mIoU"] <= 100 and voc["problem"] is None
    assert "2 images, not the 1449 of the benchmark" in voc["remarks"]
    assert voc["protocol"] == "nano-128" and voc["weights"]
    record = json.loads((place / "out" / voc["record"]).read_text())
    assert record["scores"] == voc["scores"]
    told = capsys.readouterr().out
    assert "maskclip_nano on voc-20: mIoU" in told and "on cityscapes-19: not scored." in told
    before = {p.name: p.read_text() for p in (place / "out").glob("maskclip_nano.*")}
    assert set(before) == {"maskclip_nano.json", "maskclip_nano.md"}

    # What is finished is not run again, and gives the same files.
    tests = []
    monkeypatch.setattr(FrozenRunner, "from_cfg", lambda config: tests.append(config) or 1 / 0)
    assert run(place, *asked) == 1 and not tests
    assert {p.name: p.read_text() for p in (place / "out").glob("maskclip_nano.*")} == before
    # Under other settings, or when asked to, it is.
    other = ["model.protocol.stride=64"]
    assert run(place, "maskclip_nano", "voc-20", options=other) == 1 and len(tests) == 1
    assert "ZeroDivisionError" in entries(place, "maskclip_nano")["voc-20"]["problem"]
    assert run(place, "maskclip_nano", "voc-20", "--fresh") == 1 and len(tests) == 2


def test_an_interrupted_run_goes_on(place, monkeypatch, capsys):
    keep = testing.SavePredictions.after_test_iter
    seen = []

    def stop(self, runner, batch_idx, **kwargs):
        seen.append(batch_idx)
        keep(self, runner, batch_idx, **kwargs)
        if len(seen) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(testing.SavePredictions, "after_test_iter", stop)
    assert run(place, "maskclip_nano", "voc-20") == 130
    assert "Interrupted; the same command goes on from here." in capsys.readouterr().err
    assert run(place, "maskclip_nano", "voc-20") == 0
    assert len(seen) == 2  # two images: one before and one after
    assert entries(place, "maskclip_nano")["voc-20"]["images"] == 2


def one_more_image(place):
    write_voc(place / "data", labels=(1, 20, 5))


def other_mask(place):
    folder = place / "data/VOCdevkit/VOC2012/SegmentationClass"
    mask(folder / "b.png", rows(3, 3, 3, 255).repeat(10, 0).repeat(8, 1)[:, :60])


def other_checkpoint(place):
    torch.save(dict(state_dict={}, meta=dict(note="trained for longer")), place / "w.pth")


@pytest.mark.parametrize("change", [one_more_image, other_mask, other_checkpoint])
def test_what_was_scored_on_something_else_is_run_again(place, change, monkeypatch):
    torch.save(dict(state_dict={}), place / "w.pth")
    asked = ["maskclip_nano", "voc-20", "--checkpoint", str(place / "w.pth")]
    runs = []
    build = FrozenRunner.from_cfg
    monkeypatch.setattr(FrozenRunner, "from_cfg", lambda config: runs.append(1) or build(config))
    assert run(place, *asked) == 0 and run(place, *asked) == 0 and len(runs) == 1
    change(place)
    assert run(place, *asked) == 0 and len(runs) == 2
    images = 3 if change is one_more_image else 2
    assert entries(place, "maskclip_nano")["voc-20"]["images"] == images


def test_the_table_keeps_what_still_holds(place, monkeypatch):
    def asked(*benchmarks, options=()):
        code = run(place, "maskclip_nano", *benchmarks, options=options)
        return code, list(entries(place, "maskclip_nano"))

    assert asked("voc-21") == (0, ["voc-21"])
    assert asked("voc-20") == (0, ["voc-21", "voc-20"])
    assert asked("voc-21") == (0, ["voc-21", "voc-20"])  # in its place
    table = (place / "out/maskclip_nano.md").read_text()
    assert "| voc-21 |" in table and "| voc-20 |" in table
    assert all(entry["scores"] for entry in entries(place, "maskclip_nano").values())
    # What could not be scored is told once, by the call that was asked for it.
    assert asked("cityscapes-19") == (1, ["voc-21", "voc-20", "cityscapes-19"])
    assert asked("voc-20") == (0, ["voc-21", "voc-20"])
    # Under other settings nothing of this holds.
    assert asked("voc-20", options=["model.protocol.stride=64"]) == (0, ["voc-20"])


def test_a_folder_that_cannot_be_written_to(place, capsys):
    (place / "out").write_text("")
    assert run(place, "maskclip_nano", "voc-20") == 2
    told = capsys.readouterr().err
    assert "Cannot write to" in told and "choose another folder" in told


def test_a_place_taken_by_a_file_is_told(place):
    (place / "out").mkdir()
    (place / "out/maskclip_nano").write_text("")
    assert run(place, "maskclip_nano", "voc-20") == 1
    assert "Cannot write" in entries(place, "maskclip_nano")["voc-20"]["problem"]


@pytest.mark.parametrize("benchmark", ["coco-panoptic", "cityscapes-instance"])
def test_classes_are_not_scored_as_segments(place, benchmark):
    assert run(place, "maskclip_nano", benchmark) == 1
    problem = entries(place, "maskclip_nano")[benchmark]["problem"]
    assert "maskclip_nano gives classes and no segments" in problem


def test_weights_that_are_missing_are_told(place):
    options = [f"model.image_encoder.weights={place / 'gone.pt'}"]
    assert run(place, "maskclip_nano", "voc-20", "voc-21", options=options) == 1
    found = entries(place, "maskclip_nano")
    assert all("gone.pt" in found[name]["problem"] for name in ("voc-20", "voc-21"))


def test_list_and_usage(capsys):
    assert main(["sclip_vit-b16", "--list"]) == 0
    told = capsys.readouterr().out
    assert "mIoU 16.45 (authors: README of github.com/wangf3014/SCLIP)" in told
    assert main(["--list"]) == 0
    assert "Benchmarks: ade20k-150" in capsys.readouterr().out
    assert main(["sclip", "voc-22"]) == 2
    assert "did you mean voc-21" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([])
