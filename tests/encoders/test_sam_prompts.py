from __future__ import annotations

import numpy as np
import pytest
import torch
from segment_anything.utils.transforms import ResizeLongestSide

from ovseg.encoders.sam_prompts import (
    check_prompts,
    fit_longest_side,
    scale_coords,
    upscale_masks,
)

SIZES = [(480, 640), (333, 500), (1024, 1024), (3000, 4001), (17, 1), (641, 427)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", [256, 1024])
def test_sizes_and_coordinates_are_segment_anythings(size, target):
    reference = ResizeLongestSide(target)
    assert fit_longest_side(size, target) == reference.get_preprocess_shape(*size, target)
    points = torch.tensor([[[0.0, 0.0], [size[1] - 1.0, size[0] / 3]]])
    boxes = torch.tensor([[0.0, 1.0, size[1] / 2, size[0] - 0.5]])
    torch.testing.assert_close(
        scale_coords(points, size, target), reference.apply_coords_torch(points, size)
    )
    torch.testing.assert_close(
        scale_coords(boxes, size, target), reference.apply_boxes_torch(boxes, size)
    )


def test_a_very_thin_image_keeps_a_row():
    assert fit_longest_side((3, 20000), 1024) == (1, 1024)


def test_coordinates_of_another_width_are_refused():
    with pytest.raises(ValueError, match="neither points"):
        scale_coords(torch.zeros(2, 3), (4, 4), 8)


def test_upscaling_cuts_the_padding_off():
    """A mask that is 1 on the image and 0 on the padding comes out as 1 everywhere inside."""
    masks = torch.zeros(1, 1, 16, 16)
    masks[..., :8, :] = 1
    out = upscale_masks(masks, original_size=(20, 44), input_size=(28, 64), image_size=64)
    assert out.shape == (1, 1, 20, 44)
    assert np.allclose(out, 1)


POINTS = (torch.zeros(3, 2, 2), torch.ones(3, 2))


@pytest.mark.parametrize(
    ("points", "boxes", "masks", "count"),
    [
        (POINTS, None, None, 3),
        (None, torch.zeros(5, 4), None, 5),
        (None, None, torch.zeros(2, 1, 16, 16), 2),
        (POINTS, torch.zeros(3, 4), torch.zeros(1, 1, 16, 16), 3),
        (None, torch.zeros(0, 4), torch.zeros(1, 1, 16, 16), 0),
    ],
)
def test_prompts_are_counted(points, boxes, masks, count):
    assert check_prompts(points, boxes, masks, (16, 16)) == count


@pytest.mark.parametrize(
    ("points", "boxes", "masks", "words"),
    [
        (None, None, None, "none was given"),
        ((torch.zeros(3, 2), torch.ones(3)), None, None, "Points must be"),
        ((torch.zeros(3, 2, 2), torch.ones(3, 1)), None, None, "Points must be"),
        (None, torch.zeros(4), None, "Boxes must be"),
        (None, None, torch.zeros(1, 16, 16), "Mask prompts must be"),
        (None, None, torch.zeros(1, 1, 8, 16), "Mask prompts must be"),
        (POINTS, torch.zeros(2, 4), None, "differ in number"),
        (POINTS, None, torch.zeros(2, 1, 16, 16), "differ in number"),
    ],
)
def test_prompts_that_do_not_fit_are_refused(points, boxes, masks, words):
    with pytest.raises(ValueError, match=words):
        check_prompts(points, boxes, masks, (16, 16))
