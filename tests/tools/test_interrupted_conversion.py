"""Every converter, interrupted after its first image and started again: the same files."""

from __future__ import annotations

import shutil

import pytest

from tests.datasets.files import mask, rows
from tests.tools import test_pascal_context as context
from tests.tools.converters import (
    ade20k_847,
    ade20k_panoptic,
    coco_object,
    conversion,
    pascal_context_60,
    pascal_context_459,
)
from tests.tools.test_ade20k_847 import write as write_847
from tests.tools.test_ade20k_panoptic import write as write_panoptic
from tests.tools.test_coco_object import thing, write_instances

NAMES = ("2008_000002", "2008_000003", "2008_000007")


def ade20k_full(root):
    for k in (1, 2, 3):
        write_847(root, f"ADE_val_{k:08}", [[2978, 312 if k == 2 else 2420]])


def ade20k(root):
    for name in "ABC":
        write_panoptic(root, name=name)


def pixel_maps(root):
    for name in "789":
        mask(root / f"stuffthingmaps/val2017/{name}.png", rows(255, 0, 12, 181))


def instances(root):
    square = [0, 0, 4, 0, 4, 4, 0, 4]
    write_instances(root, [thing(1, [square], 16)], images=[{"id": k} for k in (7, 8, 9)])


def mat_files(root):
    for name in NAMES:
        context.write_mat(root, name=name)
    context.write_list(root, names=NAMES)


CASES = {
    "ade20k_847": (ade20k_847, ade20k_full),
    "ade20k_panoptic": (ade20k_panoptic, ade20k),
    "coco_object of pixel maps": (coco_object, pixel_maps),
    "coco_object of instances": (coco_object, instances),
    "pascal_context_60": (pascal_context_60, mat_files),
    "pascal_context_459": (pascal_context_459, mat_files),
}


def files(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("case", CASES)
def test_interrupted_and_started_again(tmp_path, case, monkeypatch, capsys):
    tool, write = CASES[case]
    once, twice = tmp_path / "once", tmp_path / "twice"
    once.mkdir()
    write(once)
    shutil.copytree(once, twice)  # written again, some files would tell another second
    given = files(twice)
    command = [str(twice), "--workers", "0"]
    assert tool.main([str(once), "--workers", "0"]) == 0
    assert "3 of them new" in capsys.readouterr().out

    done = []

    def stop(make, job):
        if done:
            raise KeyboardInterrupt
        done.append(job)
        keep(make, job)

    keep = conversion._do
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "_do", stop)
        code = tool.main(command)
    assert code == 130 and "the same command goes on from here" in capsys.readouterr().err
    assert given.items() <= files(twice).items() and files(twice) != files(once)

    assert tool.main(command) == 0
    assert "2 of them new" in capsys.readouterr().out
    assert files(twice) == files(once)
    assert tool.main(command) == 0
    assert "0 of them new" in capsys.readouterr().out
    assert files(twice) == files(once)


@pytest.mark.parametrize("case", CASES)
def test_labels_of_other_hands_are_left_alone(tmp_path, case, capsys):
    tool, write = CASES[case]
    write(tmp_path)
    assert tool.main([str(tmp_path), "--workers", "0"]) == 0
    for record in tmp_path.rglob("conversion*.json"):
        record.unlink()
    before = files(tmp_path)
    assert tool.main([str(tmp_path), "--workers", "0"]) == 2
    assert "label files that this tool did not write" in capsys.readouterr().err
    assert files(tmp_path) == before
