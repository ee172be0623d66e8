"""Pictures and truth are changed together, in the sizes and places that were published."""

from __future__ import annotations

import numpy as np
import pytest

from ovseg.datasets.augmentation import RandomBrightness, class_map
from ovseg.errors import DatasetError
from ovseg.registry import TRANSFORMS


def sample(height=40, width=60):
    """The picture shows the id of each pixel's segment; classes are ids divided by ten."""
    ids = np.arange(height * width).reshape(height, width) // 400 * 10 + 10
    image = np.repeat(ids[..., None], 3, 2).astype(np.uint8)
    return dict(
        img=image,
        gt_panoptic=ids.astype(np.int32),
        gt_seg_map=(ids // 10).astype(np.uint8),
        segments_info=[dict(id=int(i), category_id=int(i) // 10) for i in np.unique(ids)],
        seg_fields=["gt_panoptic", "gt_seg_map"],
        img_path="a.jpg",
    )


def build(kind, **settings):
    return TRANSFORMS.build(dict(type=kind, **settings))


def together(results, tolerance):
    """Picture and maps still show the same, at least away from borders between segments."""
    shown = results["img"][..., 0].astype(int)
    inside = results["gt_panoptic"] > 0
    assert (shown[~inside] == 128).all()
    assert (results["gt_seg_map"][~inside] == 255).all()
    np.testing.assert_array_equal(
        results["gt_seg_map"][inside], results["gt_panoptic"][inside] // 10
    )
    differs = shown[inside] != results["gt_panoptic"][inside]
    assert differs.mean() <= tolerance


@pytest.mark.parametrize("prob, turned", [(0.0, False), (1.0, True)])
def test_mirror(prob, turned):
    before, results = sample(), build("RandomMirror", prob=prob)(sample())
    expected = before["gt_panoptic"][:, ::-1] if turned else before["gt_panoptic"]
    np.testing.assert_array_equal(results["gt_panoptic"], expected)
    assert results["flip"] is turned
    together(results, 0)


@pytest.mark.parametrize(
    "scale, picture",
    [
        ((0.5, 0.5), (16, 24)),  # 60 wide becomes 48 * 0.5
        ((1.0, 1.0), (32, 48)),
        ((2.0, 2.0), (32, 48)),  # cut
        ((0.01, 0.01), (1, 1)),
    ],
)
def test_jitter_cuts_or_pads_to_its_size(scale, picture):
    results = build("LargeScaleJitter", size=(32, 48), scale=scale)(sample())
    assert results["img"].shape == (32, 48, 3)
    assert results["img_shape"] == (32, 48)
    inside = results["gt_panoptic"] > 0
    assert inside[: picture[0], : picture[1]].all()
    assert inside.sum() == picture[0] * picture[1]
    together(results, 0.5 if min(picture) > 1 else 1)


def test_jitter_draws_one_number_for_both_directions(monkeypatch):
    """As in the public code: the window lies on the diagonal of its possible places."""
    drawn = iter([2.0, 0.5])
    monkeypatch.setattr(np.random, "uniform", lambda *_: next(drawn))
    image = np.zeros((50, 50, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(50)[:, None], np.arange(50)
    results = build("LargeScaleJitter", size=50, scale=(0.1, 2.0))(dict(img=image))
    assert abs(int(results["img"][0, 0, 0]) - 12) <= 1
    assert abs(int(results["img"][0, 0, 1]) - 12) <= 1


@pytest.mark.parametrize("side, longest, size", [(20, 100, (20, 30)), (80, 90, (60, 90))])
def test_short_side(side, longest, size):
    results = build("ResizeShortSide", sides=[side], longest=longest)(sample())
    assert results["img"].shape[:2] == results["gt_panoptic"].shape == size


def test_no_class_takes_too_much_of_a_window():
    ids = np.ones((40, 40), np.int32)
    ids[:, 20:] = 2
    info = [dict(id=1, category_id=3), dict(id=2, category_id=4)]
    crop = build("ClassAreaCrop", size=10, most=0.75)
    kept = 0
    for seed in range(20):
        np.random.seed(seed)
        image = np.zeros((40, 40, 3), np.uint8)
        results = crop(
            dict(img=image, gt_panoptic=ids, segments_info=info, seg_fields=["gt_panoptic"])
        )
        assert results["img"].shape == (10, 10, 3)
        share = (results["gt_panoptic"] == 1).mean()
        kept += 0.25 < share < 0.75
    assert kept > 13  # 5 of 31 columns do: the first try alone would give 3 of 20


def test_a_window_beyond_the_picture_is_padded():
    results = build("ClassAreaCrop", size=(50, 70), most=0.9)(sample())
    assert results["gt_panoptic"].shape == (50, 70)
    together(results, 0)


def test_classes_of_segments():
    results = sample()
    by_map = class_map(results, 255)
    del results["gt_seg_map"]
    np.testing.assert_array_equal(class_map(results, 255), by_map)
    with pytest.raises(DatasetError, match=r"a\.jpg has no ground truth"):
        class_map(dict(img_path="a.jpg"), 255)


@pytest.mark.parametrize(
    "kind, settings, message",
    [
        ("RandomMirror", dict(prob=2), "prob"),
        ("LargeScaleJitter", dict(size=0), "size"),
        ("LargeScaleJitter", dict(scale=(2, 1)), "scale"),
        ("ResizeShortSide", dict(sides=[]), "sides"),
        ("ClassAreaCrop", dict(size=8, most=0), "most"),
        ("ClassAreaCrop", dict(size=(1, 2, 3)), "size"),
    ],
)
def test_settings_that_make_no_sense(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        build(kind, **settings)


@pytest.mark.parametrize("amount", [0.0, 0.5, 1.0])
def test_brightness_is_multiplied_and_cut_off(amount):
    image = np.arange(0, 250, 10, dtype=np.uint8).reshape(5, 5, 1).repeat(3, 2)
    np.random.seed(1)
    factors = []
    for _ in range(20):
        found = RandomBrightness(amount)(dict(img=image.copy(), gt_seg_map=image[..., 0]))
        assert found["img"].dtype == np.uint8
        np.testing.assert_array_equal(found["gt_seg_map"], image[..., 0])
        factor = found["img"][2, 0, 0] / 100
        expected = np.minimum(image * factor, 255)
        assert np.abs(found["img"] - expected).max() <= 2
        factors.append(factor)
    assert 1 - amount - 0.01 <= min(factors) <= max(factors) <= 1 + amount + 0.01
    assert max(factors) - min(factors) >= amount


def test_brightness_beyond_its_range():
    with pytest.raises(ValueError, match="from 0 to 1"):
        RandomBrightness(1.5)
