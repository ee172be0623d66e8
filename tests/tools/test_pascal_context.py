"""PASCAL Context with 459 and 60 classes, from .mat files and from PASCAL in Detail."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle
from scipy.io import savemat

from ovseg.datasets.builtin import PascalContext59, PascalContext60, PascalContext459
from ovseg.datasets.label_ids import PASCAL_CONTEXT_59_IDS
from tests.datasets.files import PIPELINE, image
from tests.tools.converters import pascal_context_60, pascal_context_459

NAME = "2008_000002"
LIST = "ImageSets/SegmentationContext/val.txt"
#: nothing, accordion, aeroplane, wood, wool and the two around the end of 8 bits
VALUES = [0, 1, 2, 458, 459, 256, 257]


def run(tool, root, *arguments):
    return tool.main([str(root), "--workers", "0", *arguments])


def write_mat(root, values=VALUES, name=NAME):
    (root / "trainval").mkdir(parents=True, exist_ok=True)
    labels = np.repeat(np.array(values, np.uint16)[:, None], 5, axis=1)
    savemat(root / f"trainval/{name}.mat", {"LabelMap": labels}, do_compression=True)
    image(root / f"JPEGImages/{name}.jpg", size=labels.shape)


def write_list(root, path="ImageSets/Main/val.txt", names=(NAME,)):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text("".join(f"{name}\n" for name in names))


def write_json(root, categories=(2, 458, 59)):
    image(root / f"JPEGImages/{NAME}.jpg", size=(4, 5))
    segments = []
    for row, category in enumerate(categories, start=1):
        shape = rle.encode(np.asfortranarray((np.indices((4, 5))[0] == row).astype(np.uint8)))
        shape["counts"] = shape["counts"].decode()
        segments.append(dict(image_id=2008000002, category_id=category, segmentation=shape))
    images = [
        dict(image_id=2008000002, file_name=f"{NAME}.jpg", height=4, width=5, phase="val"),
        dict(image_id=2008000003, file_name="2008_000003.jpg", height=4, width=5, phase="train"),
    ]
    content = dict(images=images, annos_segmentation=segments)
    (root / "trainval_merged.json").write_text(json.dumps(content))


def truth(kind, root):
    dataset = kind(data_root=str(root), pipeline=PIPELINE)
    dataset.check_masks()
    return dataset[0]["data_samples"].gt_sem_seg.data[0, :, 0].tolist()


@pytest.mark.parametrize("path", ["ImageSets/Main/val.txt", "pascalcontext_val.txt", LIST])
def test_459_classes(tmp_path, path):
    write_mat(tmp_path)
    write_list(tmp_path, path)
    assert run(pascal_context_459, tmp_path) == 0
    written = np.asarray(Image.open(tmp_path / f"annotations_detectron2/pc459_val/{NAME}.tif"))
    assert written.dtype == np.uint16 and written.shape == (7, 5)
    assert truth(PascalContext459, tmp_path) == [65535, 0, 1, 457, 458, 255, 256]
    assert (tmp_path / LIST).read_text() == f"{NAME}\n"


def test_60_classes_of_mat_files(tmp_path):
    write_mat(tmp_path, [0, *PASCAL_CONTEXT_59_IDS, 1])
    write_list(tmp_path)
    assert run(pascal_context_60, tmp_path) == 0
    assert truth(PascalContext60, tmp_path) == [*range(60), 0]
    assert truth(PascalContext59, tmp_path) == [255, *range(59), 255]


def test_60_classes_of_pascal_in_detail(tmp_path):
    write_json(tmp_path)
    assert run(pascal_context_60, tmp_path) == 0
    assert truth(PascalContext60, tmp_path) == [0, 1, 59, 14]
    assert truth(PascalContext59, tmp_path) == [255, 0, 58, 13]
    assert (tmp_path / LIST).read_text() == f"{NAME}\n"
    assert run(pascal_context_60, tmp_path, "--split", "train") == 0
    assert (tmp_path / "ImageSets/SegmentationContext/train.txt").read_text() == "2008_000003\n"


def test_categories_outside_the_59_are_background(tmp_path):
    write_json(tmp_path, categories=(1, 459, 100_000))
    assert run(pascal_context_60, tmp_path) == 0
    assert truth(PascalContext60, tmp_path) == [0, 0, 0, 0]


@pytest.mark.parametrize("arguments", [[], ["--overwrite"]])
@pytest.mark.parametrize(
    "tool, kind",
    [(pascal_context_459, PascalContext459), (pascal_context_60, PascalContext60)],
    ids=["459", "60"],
)
def test_a_list_that_grew_is_read_again(tmp_path, tool, kind, arguments):
    for name in (NAME, "2008_000003"):
        write_mat(tmp_path, name=name)
    write_list(tmp_path)
    assert run(tool, tmp_path) == 0
    assert len(kind(data_root=str(tmp_path))) == 1
    write_list(tmp_path, names=(NAME, "2008_000003"))
    assert run(tool, tmp_path, *arguments) == 0
    assert len(kind(data_root=str(tmp_path))) == 2
    # Where no other list is there any more, its own still is.
    (tmp_path / "ImageSets/Main/val.txt").unlink()
    assert run(tool, tmp_path) == 0
    assert len(kind(data_root=str(tmp_path))) == 2


def test_a_list_of_other_hands_is_not_hidden_by_the_json(tmp_path, capsys):
    write_json(tmp_path)
    write_list(tmp_path, LIST, names=(NAME, "2008_000009"))
    assert run(pascal_context_60, tmp_path) == 2
    assert "names 1 that are none of them, the first is 2008_000009" in capsys.readouterr().err
    assert run(pascal_context_60, tmp_path, "--overwrite") == 0
    assert len(PascalContext60(data_root=str(tmp_path))) == 1


def no_list(root):
    write_mat(root)


def missing_mat(root):
    write_mat(root)
    write_list(root, names=[NAME, "2008_000003"])


def not_matlab(root):
    missing_mat(root)
    (root / "trainval/2008_000003.mat").write_bytes(b"<html>Moved</html>" * 40)


def other_variable(root):
    missing_mat(root)
    savemat(root / "trainval/2008_000003.mat", {"labels": np.ones((2, 2))})


def too_many_classes(root):
    missing_mat(root)
    write_mat(root, [1, 460], name="2008_000003")


def not_a_map(root):
    missing_mat(root)
    savemat(root / "trainval/2008_000003.mat", {"LabelMap": "text"})


WRONG = {
    no_list: r"has no list of the images of val: none of ImageSets/Segmentation",
    missing_mat: r"2008_000003.mat does not exist; trainval.tar.gz",
    not_matlab: r"2008_000003.mat is no MATLAB file with a LabelMap",
    other_variable: r"2008_000003.mat is no MATLAB file with a LabelMap",
    too_many_classes: r"2008_000003.mat holds 1 to 460, not 0 to 459; fetch it again. trainval.tar",
    not_a_map: r"2008_000003.mat is not a map of numbers but <U4 of (1,); fetch it again. trainval",
}


@pytest.mark.parametrize("tool", [pascal_context_459, pascal_context_60], ids=lambda t: t.__name__)
@pytest.mark.parametrize("prepare", WRONG, ids=lambda f: f.__name__)
def test_one_clear_error(tmp_path, capsys, tool, prepare):
    prepare(tmp_path)
    assert run(tool, tmp_path) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert WRONG[prepare] in error


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "holds no trainval_merged.json nor folder trainval of .mat files; --help"),
        (["--source", "json"], "holds no trainval_merged.json; --help"),
        (["--source", "mat"], "holds no folder trainval of .mat files; --help"),
    ],
)
def test_no_source(tmp_path, capsys, arguments, message):
    assert run(pascal_context_60, tmp_path, *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_json_of_something_else(tmp_path, capsys):
    (tmp_path / "trainval_merged.json").write_text('{"images": [], "annotations": []}')
    assert run(pascal_context_60, tmp_path) == 2
    assert "it needs images, annos_segmentation" in capsys.readouterr().err
    (tmp_path / "trainval_merged.json").write_text('{"images": [], "annos_segmentation": []}')
    assert run(pascal_context_60, tmp_path) == 2
    assert "has no images of the phase 'val'" in capsys.readouterr().err


def without_phase(content):
    content["images"][1].pop("phase")


def of_another_size(content):
    content["images"][0]["height"] = 5


def of_a_negative_category(content):
    content["annos_segmentation"][1]["category_id"] = -3


def without_a_region(content):
    content["annos_segmentation"][2].pop("segmentation")


SPOILED = {
    without_phase: "Entry 1 of images of FILE has no 'phase'",
    of_another_size: f"Segment 0 of image {NAME} in FILE cannot be drawn: its run-length encoding "
    "is of size [4, 5] but the image of [5, 5]",
    of_a_negative_category: f"Segment 1 of image {NAME} in FILE is of category -3, which is none",
    without_a_region: "Entry 2 of annos_segmentation of FILE has no 'segmentation'",
}


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda f: f.__name__)
def test_a_json_with_entries_that_are_not_whole(tmp_path, capsys, spoil):
    write_json(tmp_path)
    path = tmp_path / "trainval_merged.json"
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))
    assert run(pascal_context_60, tmp_path) == 2
    assert SPOILED[spoil] in capsys.readouterr().err.replace(str(path), "FILE")
    assert not list(tmp_path.glob("SegmentationClassContext/*.png"))
