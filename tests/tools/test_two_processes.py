"""Evaluation by two processes: the same files as by one, whatever fails or is killed."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.datasets.test_benchmarks import cityscapes_train_ids
from tests.tiny_panoptic import BrightnessPanoptic
from tests.tiny_runs import write_folder_dataset
from tests.tools.test_reproduce import QUICK, write_voc
from tests.tools.test_test_tool import ROOT, records, run
from tests.tools.test_test_tool_panoptic import CONFIG
from tests.two_processes import run_two
from tools.reproduce import main as reproduce

IMAGES = 7  # an odd number: with batches of two some image is seen twice
METRICS = """
test_evaluator.append(dict(type='BoundaryScores', ratio=0.05))
"""


@pytest.fixture
def place(tmp_path):
    """A dataset, a config with all metrics, and what one process makes of it."""
    write_folder_dataset(tmp_path / "data", images=IMAGES)
    runtime = str(ROOT / "configs" / "_base_" / "default_runtime.py")
    text = CONFIG.format(runtime=runtime, data=str(tmp_path / "data")) + METRICS
    (tmp_path / "config.py").write_text(text)
    BrightnessPanoptic.seen = 0
    # Not perfect, so that scores say something.
    assert run(tmp_path, *outputs(tmp_path, "one"), *SHIFTED) == 0
    return tmp_path


SHIFTED = ["--cfg-options", "model.type=ShiftedPanoptic"]


def outputs(place, name):
    work = place / name
    return [
        *("--work-dir", work, "--out", work / "labels"),
        *("--show-dir", work / "shown", "--out-panoptic", work / "segments"),
    ]


def files(place, name):
    """Everything that was saved, and the records of the images in their order."""
    work = place / name
    found = {
        path.relative_to(work).as_posix(): path.read_bytes()
        for folder in ("labels", "shown", "segments")
        for path in sorted((work / folder).iterdir())
    }
    found["segments.json"] = (work / "segments.json").read_bytes()
    lines = {
        line
        for path in (work / "finished").glob("records.*.jsonl")
        for line in path.read_text().splitlines()
    }
    return found, sorted(lines)


def check_same(place, name):
    one, two = files(place, "one"), files(place, name)
    assert len(one[0]) == 3 * IMAGES + 1 and list(one[0]) == list(two[0])
    assert one == two
    (before,), (after,) = records(place, "one"), records(place, name)
    assert before["metrics"] == after["metrics"] and before["scores"] == after["scores"]
    assert 0 < before["scores"]["PQ"] < 100 and 0 < before["scores"]["boundary_mIoU"] < 100
    assert 0 < before["scores"]["AP"] < 100 and 0 < before["scores"]["mIoU"] < 100


def test_the_same_files_byte_for_byte(place):
    arguments = [*outputs(place, "two"), *SHIFTED]
    assert run_two(lambda rank: run(place, "--launcher", "pytorch", *arguments)) == [0, 0]
    check_same(place, "two")


def test_a_killed_process_loses_no_finished_image(place):
    arguments = [*outputs(place, "two"), *SHIFTED]

    def half(rank):
        BrightnessPanoptic.kill_at = 3 if rank == 1 else None
        BrightnessPanoptic.seen = 0
        return run(place, "--launcher", "pytorch", *arguments)

    codes = run_two(half)
    assert codes[1] == -signal.SIGKILL and codes[0] != 0 and not records(place, "two")
    left = files_of_store(place / "two")
    assert left[1] == 2  # the first batch of the killed process is kept
    BrightnessPanoptic.seen = 0
    assert run(place, "--resume", *arguments) == 0
    assert BrightnessPanoptic.seen == IMAGES - sum(left.values())
    check_same(place, "two")


def files_of_store(work):
    """How many images each process has finished."""
    images = {}
    for rank in (0, 1):
        path = work / "finished" / f"records.{rank}.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        images[rank] = len({json.loads(line)["image"] for line in lines})
    return images


def test_an_error_of_one_process_ends_both(place, capfd):
    (place / "data/images/003.png").write_bytes(b"")
    arguments = ["--work-dir", place / "two", *SHIFTED]
    assert run_two(lambda rank: run(place, "--launcher", "pytorch", *arguments)) == [2, 2]
    errors = [line for line in capfd.readouterr().err.splitlines() if ": error: " in line]
    assert len(errors) == 2 and all("003.png is empty" in line for line in errors)
    assert sum("Process 1 of 2 failed" in line for line in errors) == 1


@pytest.mark.parametrize("taken", ["two", "two/labels", "two/finished", "two/segments.json/full"])
def test_a_place_that_is_taken_ends_both(place, taken, capfd):
    (place / taken).parent.mkdir(parents=True, exist_ok=True)
    (place / taken).write_text("")
    arguments = [*outputs(place, "two"), *SHIFTED]
    assert run_two(lambda rank: run(place, "--launcher", "pytorch", *arguments)) == [2, 2]
    errors = [line for line in capfd.readouterr().err.splitlines() if ": error: " in line]
    assert len(errors) == 2 and all("Cannot write" in line for line in errors)


def test_reproduce_writes_the_same_tables(tmp_path, monkeypatch):
    write_voc(tmp_path / "data")
    cityscapes_train_ids(tmp_path / "data/cityscapes")
    for path in list((tmp_path / "data/cityscapes").rglob("ulm_1_*")):
        path.with_name(path.name.replace("_1_", "_2_")).write_bytes(path.read_bytes())
    # Comes second: it is that of process 1.
    next((tmp_path / "data/cityscapes").rglob("ulm_2_leftImg8bit.png")).write_bytes(b"")
    monkeypatch.setenv("OVSEG_DATA", str(tmp_path / "data"))
    asked = ["maskclip_nano", "cityscapes-19", "coco-panoptic", "voc-20"]

    def go(folder, *more):
        return reproduce([*asked, "--out", str(tmp_path / folder), *more, *QUICK])

    assert go("one") == 1  # first, so that the two have everything imported
    assert run_two(lambda rank: go("two", "--launcher", "pytorch")) == [1, 1]

    def entries(folder):
        content = json.loads((tmp_path / folder / "maskclip_nano.json").read_text())
        return {entry["benchmark"]: entry for entry in content["comparisons"]}

    one, two = entries("one"), entries("two")
    assert one["voc-20"] == two["voc-20"] and one["voc-20"]["scores"]
    assert one["coco-panoptic"] == two["coco-panoptic"] and one["coco-panoptic"]["problem"]
    for found in (one, two):
        assert "ulm_2_leftImg8bit.png is empty" in found["cityscapes-19"]["problem"]
    assert not os.path.exists(tmp_path / "two/maskclip_nano/cityscapes-19/record.json")


def test_a_model_with_trained_parts(tmp_path, monkeypatch):
    write_voc(tmp_path / "data")
    monkeypatch.setenv("OVSEG_DATA", str(tmp_path / "data"))
    asked = ["fcclip_nano", "voc-20"]

    def go(folder, *more):
        return reproduce([*asked, "--out", str(tmp_path / folder), *more, *QUICK[:2]])

    assert go("one") == 0
    assert run_two(lambda rank: go("two", "--launcher", "pytorch")) == [0, 0]
    one, two = (
        json.loads((tmp_path / folder / "fcclip_nano.json").read_text())["comparisons"]
        for folder in ("one", "two")
    )
    assert one == two and one[0]["scores"]


@pytest.mark.parametrize(("taken", "code"), [("out", 2), ("out/maskclip_nano", 1)])
def test_reproduce_ends_where_it_cannot_write(tmp_path, monkeypatch, taken, code):
    write_voc(tmp_path / "data")
    monkeypatch.setenv("OVSEG_DATA", str(tmp_path / "data"))
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_text("")
    asked = ["maskclip_nano", "voc-20", "--out", str(tmp_path / "out")]
    codes = run_two(lambda rank: reproduce([*asked, "--launcher", "pytorch", *QUICK]))
    assert codes == [code, code]


def test_reproduce_goes_on_with_another_number_of_processes(tmp_path, monkeypatch):
    write_voc(tmp_path / "data")
    monkeypatch.setenv("OVSEG_DATA", str(tmp_path / "data"))
    asked = ["maskclip_nano", "voc-20", "--out", str(tmp_path / "out")]
    assert reproduce([*asked, *QUICK]) == 0
    table, note = (
        tmp_path / "out" / name
        for name in ("maskclip_nano.json", "maskclip_nano/voc-20/record.json")
    )
    before = table.read_text(), note.stat().st_mtime_ns
    assert run_two(lambda rank: reproduce([*asked, "--launcher", "pytorch", *QUICK])) == [0, 0]
    assert (table.read_text(), note.stat().st_mtime_ns) == before  # it was not run again
