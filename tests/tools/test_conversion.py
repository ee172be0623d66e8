"""What all converters promise: whole files, going on, no mixture of origins, usable help."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from ovseg.datasets.labels import read_index_mask
from ovseg.errors import DatasetError
from tests.tools.converters import (
    CONVERTERS,
    ade20k_847,
    ade20k_panoptic,
    check_dataset,
    coco_object,
    conversion,
    pascal_context_60,
    pascal_context_459,
)

TOOLS = (ade20k_847, ade20k_panoptic, coco_object, pascal_context_60, pascal_context_459)
SETTINGS = dict(converter="test")


def make(text):
    """Two files of a job; one text cannot be converted."""
    if text == "broken":
        raise DatasetError("broken.png cannot be read.")
    return [text.encode(), text.upper().encode()]


def jobs_of(folder, *texts):
    return [
        conversion.Job((folder / "a" / f"{t}.txt", folder / "b" / f"{t}.txt"), (t,)) for t in texts
    ]


def run(folder, *texts, settings=SETTINGS, **options):
    record = folder / "b" / "conversion.json"
    return conversion.convert_all(jobs_of(folder, *texts), make, record, settings, **options)


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupted_conversion_goes_on(tmp_path, workers):
    with pytest.raises(DatasetError, match="broken"):
        run(tmp_path, "x", "broken", "z")
    assert files(tmp_path) == ["a/x.txt", "b/conversion.json", "b/x.txt"]
    (tmp_path / "b/x.txt").write_text("kept")
    assert run(tmp_path, "x", "y", "z", workers=workers) == 2
    assert (tmp_path / "a/y.txt").read_text() == "y" and (tmp_path / "b/z.txt").read_text() == "Z"
    assert (tmp_path / "b/x.txt").read_text() == "kept"
    assert len(files(tmp_path)) == 7
    assert run(tmp_path, "x", "y", "z", workers=workers) == 0


def test_errors_of_other_processes_arrive(tmp_path):
    with pytest.raises(DatasetError, match="broken"):
        run(tmp_path, *"abcdefgh", "broken", workers=2)


def test_a_job_with_one_of_its_files_is_done_again(tmp_path):
    run(tmp_path, "x")
    (tmp_path / "a/x.txt").unlink()
    assert run(tmp_path, "x") == 1


def test_overwrite(tmp_path):
    run(tmp_path, "x", "y")
    (tmp_path / "b/x.txt").write_text("old")
    assert run(tmp_path, "x", settings=dict(converter="other"), overwrite=True) == 1
    assert (tmp_path / "b/x.txt").read_text() == "X"
    assert json.loads((tmp_path / "b/conversion.json").read_text()) == dict(converter="other")


def old_files(folder, *texts):
    run(folder, *texts, settings=dict(converter="old"))
    for path in (folder / "b").glob("*.txt"):
        path.write_text("old")


def test_what_cannot_be_read_leaves_the_old_files(tmp_path):
    old_files(tmp_path, "x", "y", "z")
    with pytest.raises(DatasetError, match="broken"):
        run(tmp_path, "x", "broken", "z", overwrite=True)
    assert [(tmp_path / f"b/{t}.txt").read_text() for t in "xyz"] == ["old"] * 3
    content = json.loads((tmp_path / "b/conversion.json").read_text())
    assert content == dict(converter="old", notes=dict(overwrite=SETTINGS))
    with pytest.raises(DatasetError, match="were made with"):
        run(tmp_path, "x", "y", "z")


@pytest.mark.parametrize(
    "again, count, left",
    [
        (dict(overwrite=True), 2, "new"),  # the same command goes on
        (dict(overwrite=True, settings=dict(converter="third")), 3, "X"),  # of another source: anew
        (dict(settings=dict(converter="old")), 0, "old"),  # gives it up
    ],
    ids=["the same", "other settings", "given up"],
)
def test_an_overwrite_goes_on(tmp_path, capsys, again, count, left):
    old_files(tmp_path, "x", "y", "z")
    with pytest.raises(DatasetError, match="broken"):
        run(tmp_path, "x", "broken", "z", overwrite=True)
    (tmp_path / "b/x.txt.new").write_text("new")
    capsys.readouterr()
    assert run(tmp_path, "x", "y", "z", **again) == count
    assert ("Going on with an --overwrite" in capsys.readouterr().err) == (count == 2)
    assert (tmp_path / "b/x.txt").read_text() == left
    content = json.loads((tmp_path / "b/conversion.json").read_text())
    assert content == again.get("settings", SETTINGS)
    assert not [name for name in files(tmp_path) if name.endswith(".new")]


@pytest.mark.parametrize("overwrite", [False, True])
def test_interrupted_while_files_are_replaced(tmp_path, monkeypatch, overwrite):
    old_files(tmp_path, "x", "y", "z")
    replaced = []

    def stop(source, target):
        if len(replaced) == 2:
            raise KeyboardInterrupt
        if str(source).endswith(".new"):
            replaced.append(target)
        keep(source, target)

    keep = os.replace
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", stop)
        run(tmp_path, "x", "y", "z", overwrite=True)
    assert [(tmp_path / f"b/{t}.txt").read_text() for t in "xyz"] == ["X", "old", "old"]
    assert check_dataset.half_replaced(tmp_path / "b")
    assert run(tmp_path, "x", "y", "z", overwrite=overwrite) == 0
    assert [(tmp_path / f"b/{t}.txt").read_text() for t in "xyz"] == ["X", "Y", "Z"]
    assert json.loads((tmp_path / "b/conversion.json").read_text()) == SETTINGS
    assert not check_dataset.half_replaced(tmp_path / "b") and len(files(tmp_path)) == 7


@pytest.mark.parametrize(
    "record, message",
    [
        (None, "b holds 1 label files that this tool did not write; .* --overwrite"),
        ('{"converter": "other"}', r"were made with \{'converter': 'other'\}, not"),
        ("{", "conversion.json cannot be read"),
    ],
)
def test_files_of_another_origin_are_not_mixed(tmp_path, record, message):
    (tmp_path / "b").mkdir()
    (tmp_path / "b/x.txt").write_text("of another tool")
    if record is not None:
        (tmp_path / "b/conversion.json").write_text(record)
    with pytest.raises(DatasetError, match=message):
        run(tmp_path, "x", "y")
    assert not (tmp_path / "b/y.txt").exists()
    assert (tmp_path / "b/x.txt").read_text() == "of another tool"


def note(folder):
    return json.loads((folder / "b/conversion.json").read_text()).get("notes", {})


def test_a_list_of_the_tool_is_written_anew(tmp_path):
    path = tmp_path / "deep/val.txt"
    run(tmp_path, "x", "w", names=(path, ["x", "w"]))
    assert path.read_text() == "w\nx\n"
    run(tmp_path, "x", "y", names=(path, ["x", "y"]))
    assert path.read_text() == "x\ny\n"
    run(tmp_path, "x", "y", "z", names=(path, ["x", "y", "z"]), overwrite=True)
    assert path.read_text() == "x\ny\nz\n" and list(note(tmp_path)) == ["list"]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"y\n\nx\n", None),
        (
            b"x\n",
            "val.txt was not written by this tool and lacks 1 of the 2 images, the first is y",
        ),
        (b"x\nv\ny\n", "names 1 that are none of them, the first is v; .* --overwrite"),
        (b"v\nx\n", "lacks 1 of the 2 images, the first is y, and names 1 that"),
        (b"\n", "val.txt is empty"),
        (b"x\ny\nx\n", "val.txt names 1 images more than once, the first is x"),
        (b"\xff\xfex\x00", "val.txt is not text in UTF-8"),
    ],
)
def test_a_list_of_other_hands(tmp_path, content, message):
    path = tmp_path / "val.txt"
    path.write_bytes(content)
    if message is None:
        run(tmp_path, "x", "y", names=(path, ["x", "y"]))
    else:
        with pytest.raises(DatasetError, match=message):
            run(tmp_path, "x", "y", names=(path, ["x", "y"]))
        assert files(tmp_path) == ["val.txt"]
    assert path.read_bytes() == content
    run(tmp_path, "x", "y", names=(path, ["x", "y"]), overwrite=True)
    assert sorted(path.read_text().split()) == ["x", "y"]


def test_a_list_that_was_changed_by_hand_is_no_longer_the_tools(tmp_path):
    names = (tmp_path / "val.txt", ["x", "y"])
    run(tmp_path, "x", "y", names=names)
    names[0].write_text("y\n")
    with pytest.raises(DatasetError, match="lacks 1 of the 2 images, the first is x"):
        run(tmp_path, "x", "y", names=names)


def test_nothing_to_do_is_no_success(tmp_path):
    with pytest.raises(DatasetError, match="nothing to make"):
        run(tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_label_files_hold_the_labels(tmp_path, kind, dtype):
    labels = np.array([[0, 1, np.iinfo(dtype).max]], dtype)
    (tmp_path / "labels").write_bytes(conversion.image_bytes(labels, kind))
    np.testing.assert_array_equal(read_index_mask(tmp_path / "labels"), labels)


@pytest.mark.parametrize("tool", TOOLS)
def test_help_and_a_folder_without_data(tmp_path, capsys, tool):
    with pytest.raises(SystemExit, match="0"):
        tool.main(["--help"])
    told = capsys.readouterr().out
    assert "http" in told and "--overwrite" in told and f"{tool.__name__}.py data/" in told
    assert tool.main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "error: " in error and error.count("\n") == 1
    with pytest.raises(SystemExit, match="2"):
        tool.main([str(tmp_path), "--workers", "-1"])
    assert files(tmp_path) == []


def test_as_a_user_starts_it(tmp_path):
    paths = os.pathsep.join([str(CONVERTERS.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = dict(os.environ, PYTHONPATH=paths, OMP_NUM_THREADS="1")
    command = [sys.executable, str(CONVERTERS / "coco_object.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("coco_object.py: error: ")


def test_every_tool_is_tested():
    found = {p.stem for p in CONVERTERS.glob("*.py") if "def main" in p.read_text()}
    found.remove("check_dataset")  # converts nothing
    assert found == {tool.__name__ for tool in TOOLS}
