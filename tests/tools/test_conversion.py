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


def test_a_list_that_is_there_is_left_alone(tmp_path):
    conversion.write_names(tmp_path / "deep/val.txt", ["b", "a"])
    assert (tmp_path / "deep/val.txt").read_text() == "a\nb\n"
    conversion.write_names(tmp_path / "deep/val.txt", ["c"])
    assert (tmp_path / "deep/val.txt").read_text() == "a\nb\n"


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
