from __future__ import annotations

import pytest
import torch

from ovseg.dense import SlidingWindows, WholeImage


@pytest.mark.parametrize(
    ("height", "width", "crop", "stride", "tops", "lefts"),
    [
        (224, 224, 224, 112, [0], [0]),
        (336, 448, 224, 112, [0, 112], [0, 112, 224]),
        (336, 500, 224, 112, [0, 112], [0, 112, 224, 276]),  # the last one ends at the border
        (336, 448, 224, 224, [0, 112], [0, 224]),
        (100, 300, 224, 112, [0], [0, 76]),  # lower than a window
        (1, 1, 224, 112, [0], [0]),
    ],
)
def test_sliding_windows_lie_where_sclip_puts_them(height, width, crop, stride, tops, lefts):
    windows = SlidingWindows(crop, stride)(height, width, 16)
    assert [(w.top, w.left) for w in windows] == [(t, x) for t in tops for x in lefts]
    assert {(w.height, w.width) for w in windows} == {(min(crop, height), min(crop, width))}


@pytest.mark.parametrize("size", [(336, 448), (225, 1000), (17, 31), (1, 2048)])
@pytest.mark.parametrize("cut", [SlidingWindows(224, 112), SlidingWindows(32, 32), WholeImage()])
def test_every_pixel_is_seen_and_patches_are_whole(size, cut):
    seen = torch.zeros(size)
    for window in cut(*size, 14):
        seen[window.top : window.top + window.height, window.left : window.left + window.width] += 1
        assert window.padded_size[0] % 14 == window.padded_size[1] % 14 == 0
        assert abs(window.pad[0] - window.pad[1]) <= 1
    assert seen.min() >= 1


def test_cut_pads_with_zeros_on_both_sides():
    image = torch.ones(3, 10, 16)
    (window,) = WholeImage()(10, 16, 16)
    cut = window.cut(image)
    assert cut.shape == (3, 16, 16)
    assert torch.equal(cut[:, 3:13], image)
    assert cut[:, :3].abs().sum() == cut[:, 13:].abs().sum() == 0


@pytest.mark.parametrize(("crop", "stride"), [(224, 0), (224, 225), (0, 0), (224, -1)])
def test_a_stride_that_leaves_gaps_is_refused(crop, stride):
    with pytest.raises(ValueError, match="stride"):
        SlidingWindows(crop, stride)
