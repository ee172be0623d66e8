"""Every method through `create_model(...).segment`: nothing a user may give it ends in a crash."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tests.drawn import draw_picture
from tests.small_methods import DINO, METHODS, give_words, small_method

GUIDED = ["proxyclip_vit-b16", "clip_dinoiser-teacher_vit-b16", "trident_vit-b16"]


def picture(height, width):
    return draw_picture(height, width, seed=4).permute(1, 2, 0).numpy()


IMAGES = {
    "one pixel": picture(1, 1),
    "smaller than a patch": picture(5, 3),
    "smaller than a window": picture(20, 27),
    "not whole patches": picture(41, 67),
    "wide": picture(8, 600),
    "tall": picture(600, 8),
    "black": np.zeros((40, 56, 3), np.uint8),
    "gray": np.full((37, 61, 3), 124, np.uint8),
}


@functools.cache
def built(name):
    return small_method(name)


def segment(made, image, count=5):
    """The result, checked: a class for every pixel, and numbers that are numbers."""
    result = made.segment(image, give_words(made, count))
    assert result.mask.shape == image.shape[:2]
    assert result.mask.min() >= 0 and result.mask.max() < count
    assert result.areas.sum() == result.mask.size
    assert np.isfinite(result.scores).all()
    assert (result.scores >= 0).all() and (result.scores <= 1 + 1e-4).all()
    return result


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("name", METHODS)
def test_any_picture(name, image):
    segment(built(name), image)


@pytest.mark.parametrize("name", METHODS)
def test_one_class(name):
    result = segment(built(name), IMAGES["not whole patches"], count=1)
    assert result.scores.tolist() == pytest.approx([1.0])


@pytest.mark.parametrize("name", METHODS)
def test_a_thousand_classes(name):
    segment(built(name), IMAGES["not whole patches"], count=1000)


@pytest.mark.parametrize("name", METHODS)
def test_pictures_are_read_at_their_own_size_where_the_protocol_says_so(name):
    own = {"short_side": None, "crop": None, "stride": None, "square": False}
    made = small_method(name, protocol=own)
    for image in ("one pixel", "smaller than a patch", "not whole patches"):
        segment(made, IMAGES[image])


@pytest.mark.parametrize("patch", [5, 14])
@pytest.mark.parametrize("name", GUIDED)
def test_a_guide_with_other_patches_than_clips(name, patch):
    sizes = {**DINO["overrides"], "patch_size": patch, "img_size": 2 * patch}
    encoders = {"dino": {**DINO, "overrides": sizes}}
    if name == "trident_vit-b16":
        encoders["sam"] = METHODS[name]["encoders"]["sam"]
    made = small_method(name, encoders=encoders)
    assert made.model.encoders["dino"].patch_size == patch
    for image in ("one pixel", "not whole patches", "black"):
        segment(made, IMAGES[image])


@pytest.mark.parametrize("failing", [None, "quality", "masks"])
def test_where_sam_finds_nothing_the_coarse_labels_stay(failing, monkeypatch):
    name, image = "trident_vit-b16", IMAGES["not whole patches"]
    coarse = segment(small_method(name, refined=False), image)
    made = small_method(name)
    asked = []
    answer = made.model.encoders["sam"].prompt_masks

    def prompt_masks(*args, **settings):
        masks, quality = answer(*args, **settings)
        asked.append(len(masks))
        masks, quality = masks * 0 - 1, quality * 0 + 1
        if failing != "masks":  # else trusted answers that hold no pixel
            masks[-1] = 9  # the last region is everywhere
        return masks, quality - 2 if failing == "quality" else quality

    monkeypatch.setattr(made.model.encoders["sam"], "prompt_masks", prompt_masks)
    found = segment(made, image)
    assert sum(asked) > 1
    if failing is None:
        assert len(np.unique(found.mask)) == 1 < len(np.unique(coarse.mask))
    else:
        np.testing.assert_array_equal(found.mask, coarse.mask)


def test_without_a_cluster_labels_stay():
    name, image = "cliptrase_vit-b16", IMAGES["not whole patches"]
    plain = segment(small_method(name, refined=False), image)
    for settings in ({"eps": 1e-9, "min_samples": 2}, {"min_samples": 10**6}):
        made = small_method(name, refiner=settings)
        np.testing.assert_array_equal(segment(made, image).mask, plain.mask)


def test_the_drawn_pictures_have_many_classes():
    """Otherwise the tests of this file would say little."""
    for name in METHODS:
        assert len(np.unique(segment(built(name), IMAGES["not whole patches"]).mask)) > 1, name
