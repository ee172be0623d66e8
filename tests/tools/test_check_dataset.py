"""check_dataset.py: counts, histogram, sheet, and what it says of datasets that are not well."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from ovseg.errors import SaveError
from tests.datasets import test_benchmarks as layouts
from tests.datasets import test_panoptic as panoptic_layouts
from tests.datasets.files import image, mask, rows
from tests.datasets.test_mapillary import write as write_mapillary
from tests.tools.converters import ade20k_panoptic, check_dataset
from tests.tools.test_ade20k_panoptic import write as write_ade20k


def run(name, root, *arguments):
    sheet = root / "sheet.png"
    return check_dataset.main(
        [name, str(root), "--workers", "0", "--sheet", str(sheet), *map(str, arguments)]
    )


def write_voc(root, **sizes):
    for name in ("a", "b"):
        image(root / f"JPEGImages/{name}.jpg", sizes.get(name, (4, 8)))
        mask(root / f"SegmentationClass/{name}.png", rows(0, 1, 20, 255))
    names = root / "ImageSets/Segmentation/val.txt"
    names.parent.mkdir(parents=True, exist_ok=True)
    names.write_text("a\nb\n")


@pytest.fixture
def two_images(monkeypatch):
    """Let two images be the whole of VOC."""
    monkeypatch.setattr("ovseg.datasets.pascal.VOC21.IMAGES", 2)


def test_a_dataset_that_is_well(tmp_path, capsys, two_images):
    write_voc(tmp_path)
    assert run("voc-21", tmp_path) == 0
    told = capsys.readouterr().out
    assert "voc-21: 2 images with masks, 21 classes" in told and "All is well." in told
    assert re.search(r"0 background +2 +33\.3333\n", told)
    assert re.search(r"20 tvmonitor +2 +33\.3333\n", told)
    assert "checked: 2 of 2 images, 25.00 % void" in told
    assert "absent: 18 classes occur in no checked image: bicycle, bird" in told
    assert np.asarray(Image.open(tmp_path / "sheet.png")).shape[2] == 3
    assert run("voc-21", tmp_path, "--images", "1", "--no-sheet") == 0
    assert "checked: 1 of 2" in capsys.readouterr().out


def test_segments_are_counted_and_the_converter_named(tmp_path, capsys, monkeypatch):
    write_ade20k(tmp_path)
    assert run("ade20k-panoptic", tmp_path) == 1
    told = capsys.readouterr().out
    assert told.startswith("missing: ") and "ade20k_panoptic.py" in told
    assert ade20k_panoptic.main([str(tmp_path), "--workers", "0"]) == 0
    monkeypatch.setattr("ovseg.datasets.ade20k.ADE20KPanoptic150.IMAGES", 1)
    capsys.readouterr()
    assert run("ade20k-panoptic", tmp_path) == 0
    told = capsys.readouterr().out
    assert re.search(r"7 bed +1 +\d+\.\d+ +2\n", told)  # two beds
    assert "ade20k_panoptic_val was made by ade20k_panoptic.py" in told


def short_mask(root):
    write_voc(root, b=(5, 8))
    return "b.png is 8 x 4 pixels but its image"


def strange_label(root):
    write_voc(root)
    mask(root / "SegmentationClass/b.png", rows(0, 77, 1, 1))
    return "b.png holds the label(s) 77"


def broken_image(root):
    write_voc(root)
    path = root / "JPEGImages/b.jpg"
    path.write_bytes(path.read_bytes()[:200])
    return "b.jpg"


@pytest.mark.parametrize("spoil", [short_mask, strange_label, broken_image])
def test_what_is_wrong_is_told_with_its_file(tmp_path, capsys, two_images, spoil):
    expected = spoil(tmp_path)
    assert run("voc-21", tmp_path) == 1
    (line,) = [s for s in capsys.readouterr().out.splitlines() if s.startswith("wrong: ")]
    assert expected in line


def test_too_few_images_are_wrong(tmp_path, capsys):
    write_voc(tmp_path)
    assert run("voc-21", tmp_path) == 1
    assert "wrong: 2 images, but the benchmark has 1449" in capsys.readouterr().out


def test_a_dataset_that_is_not_there(tmp_path, capsys):
    assert run("voc-21", tmp_path) == 1
    told = capsys.readouterr().out
    assert told.startswith("missing: ") and "VOCtrainval_11-May-2012.tar" in told


def test_usage(tmp_path, capsys):
    assert run("voc-22", tmp_path) == 2
    told = capsys.readouterr().err
    assert "There is no dataset 'voc-22'; those known are ade20k-150" in told


@pytest.mark.parametrize("count", ["-5", "0", "many"])
def test_images_are_one_or_more(tmp_path, capsys, count):
    with pytest.raises(SystemExit, match="2"):
        run("voc-21", tmp_path, "--images", count)
    assert f"give a whole number of 1 or more, not '{count}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "sheet, message",
    [
        ("sheet.jpg", "The contact sheet is a PNG, not 'sheet.jpg'; let its name end in .png."),
        ("a file/sheet.png", "Cannot write the contact sheet"),
        ("a folder.png", "(it is a folder); name another file in --sheet"),
    ],
)
def test_a_sheet_that_cannot_be_written_is_told_before_the_work(tmp_path, capsys, sheet, message):
    write_voc(tmp_path)
    (tmp_path / "a file").write_text("")
    (tmp_path / "a folder.png").mkdir()
    assert run("voc-21", tmp_path, "--sheet", tmp_path / sheet) == 2
    told = capsys.readouterr()
    assert message in told.err and not told.out
    assert run("voc-21", tmp_path, "--sheet", tmp_path / sheet, "--no-sheet") == 1


def test_what_is_wrong_is_told_before_the_sheet(tmp_path, capsys, two_images, monkeypatch):
    expected = strange_label(tmp_path)

    def full(path, array):
        raise SaveError(f"Cannot write {path} (no space).")

    monkeypatch.setattr(check_dataset, "write_png", full)
    assert run("voc-21", tmp_path) == 2
    told = capsys.readouterr()
    assert expected in told.out and "no space" in told.err


def test_a_list_that_is_no_text(tmp_path, capsys):
    write_voc(tmp_path)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_bytes(b"\xff\xfea\x00")
    assert run("voc-21", tmp_path) == 1
    assert "val.txt is not text in UTF-8" in capsys.readouterr().out


MINIATURES = {
    "ade20k-150": layouts.ade20k,
    "ade20k-847": layouts.ade20k_847,
    "coco-panoptic-133": layouts.coco_panoptic,
    "coco-panoptic": layouts.coco_panoptic,
    "coco-stuff-171": layouts.coco_stuff,
    "coco-object-81": layouts.coco_object,
    "cityscapes-19": layouts.cityscapes_train_ids,
    "cityscapes-panoptic": panoptic_layouts.cityscapes,
    "mapillary-65": write_mapillary,
    "mapillary-panoptic": write_mapillary,
}


@pytest.mark.parametrize("name", MINIATURES)
def test_every_layout(tmp_path, capsys, name):
    MINIATURES[name](tmp_path)
    assert run(name, tmp_path) == 1
    told = capsys.readouterr().out
    assert told.count("wrong: ") == 1 and "but the benchmark has" in told
    assert (tmp_path / "sheet.png").is_file()
