"""Raw values of mask files become classes, or one error that names the file."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ovseg.datasets.labels import INVALID, LabelReader, index_lookup
from ovseg.errors import DatasetError

LOOKUPS = {
    # arguments: expected class of some raw values
    "identity": (dict(num_classes=3), {0: 0, 2: 2, 3: INVALID, 255: 255}),
    "void elsewhere": (dict(num_classes=3, ignore_index=7), {2: 2, 7: 7, 255: INVALID}),
    "no void value": (dict(num_classes=3, ignore_index=-1), {0: 0, 255: INVALID}),
    "zero is void": (
        dict(num_classes=150, reduce_zero_label=True),
        {0: 255, 1: 0, 150: 149, 151: INVALID, 255: 255},
    ),
    "a class at 255": (dict(num_classes=300), {254: 254, 255: 255, 299: 299}),
    "explicit": (
        dict(num_classes=2, raw_to_class={7: 0, 11: 1}, other_raw=255),
        {7: 0, 11: 1, 0: 255, 33: 255},
    ),
    "a subset": (dict(num_classes=3, kept=[1, -1, 0]), {0: 1, 1: 255, 2: 0, 3: INVALID}),
}


@pytest.mark.parametrize("case", LOOKUPS)
def test_index_lookup(case):
    arguments, expected = LOOKUPS[case]
    table = index_lookup(**arguments)
    assert {raw: int(table[raw]) for raw in expected} == expected


def write(path, array, mode=None):
    Image.fromarray(array, mode).save(path)
    return path


@pytest.mark.parametrize(
    "classes, ignore, raw, dtype",
    [
        (3, 255, np.array([[0, 2, 255]], np.uint8), np.uint8),
        (847, 65535, np.array([[0, 255, 846, 65535]], np.uint16), np.uint16),
        (70000, -1, np.array([[0, 69999]], np.int32), np.int32),
    ],
)
def test_labels_survive_at_any_width(tmp_path, classes, ignore, raw, dtype):
    suffix = ".tif" if raw.dtype == np.int32 else ".png"
    path = write(tmp_path / f"mask{suffix}", raw)
    labels = LabelReader(classes, ignore, index_lookup(classes, ignore)).read(path)
    assert labels.dtype == dtype
    np.testing.assert_array_equal(labels, raw)


def test_palette_is_not_applied(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    image.putpalette([9, 9, 9] * 256)
    image.putdata([0, 1, 2])
    image.save(tmp_path / "p.png")
    reader = LabelReader(3, 255, index_lookup(3))
    assert reader.read(tmp_path / "p.png").tolist() == [[0, 1, 2]]


def test_panoptic_ids_become_categories(tmp_path):
    ids = np.array([[0, 300, 300], [70000, 5, 0]])
    rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
    path = write(tmp_path / "p.png", rgb)
    table = np.full(201, INVALID, np.int32)
    table[[1, 200]] = [0, 1]
    reader = LabelReader(2, 255, table, panoptic=True)
    segments = [(300, 200), (70000, 1), (5, 200)]
    assert reader.read(path, segments).tolist() == [[255, 1, 1], [0, 1, 255]]
    for wrong in ([(300, 200), (70000, 1)], [(300, 7), (70000, 1), (5, 1)]):
        with pytest.raises(DatasetError, match=r"p\.png holds segment (5|300)"):
            reader.read(path, wrong)


WRONG = {
    "label beyond the classes": (np.array([[0, 3, 9]], np.uint8), r"label\(s\) 3, 9"),
    "label beyond the table": (np.array([[0, 60000]], np.uint16), r"label\(s\) 60000"),
    "negative label": (np.array([[0, -1, -256]], np.int32), r"label\(s\) -256, -1, which none"),
    "three channels": (np.zeros((2, 2, 3), np.uint8), "mode RGB"),
    "floats": (np.zeros((2, 2), np.float32), "mode F"),
}


def test_negative_labels_of_many_classes(tmp_path):
    path = write(tmp_path / "m.tif", np.array([[0, -1]], np.int32))
    with pytest.raises(DatasetError, match=r"label\(s\) -1, which none of the 300"):
        LabelReader(300, 65535, index_lookup(300, -1)).read(path)


@pytest.mark.parametrize("case", WRONG)
def test_masks_that_do_not_fit(tmp_path, case):
    array, message = WRONG[case]
    path = write(tmp_path / ("m.tif" if array.dtype.itemsize == 4 else "m.png"), array)
    with pytest.raises(DatasetError, match=message) as caught:
        LabelReader(3, 255, index_lookup(3)).read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"no image"])
@pytest.mark.parametrize("panoptic", [False, True])
def test_masks_that_cannot_be_read(tmp_path, content, panoptic):
    path = tmp_path / "m.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"m\.png (does not exist|cannot be read)"):
        LabelReader(3, 255, index_lookup(3), panoptic=panoptic).read(path)


@pytest.mark.parametrize("panoptic", [False, True])
def test_a_mask_of_too_many_pixels(tmp_path, monkeypatch, panoptic):
    path = write(tmp_path / "m.png", np.zeros((5, 5), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DatasetError, match=r"m\.png has more than .* pixels, .* into parts"):
        LabelReader(3, 255, index_lookup(3), panoptic=panoptic).read(path)
