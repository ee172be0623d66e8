from __future__ import annotations

import pytest
import torch

from ovseg.dense import SlidingWindows, Window, splice, spliceable_size


@pytest.mark.parametrize(
    ("size", "crop", "expected"),
    [
        ((576, 864), 336, (576, 864)),  # whole patches stay, even when smaller than a window
        ((96, 160), 336, (96, 160)),
        ((336, 500), 336, (352, 512)),  # the longer side first, the shorter along with it
        ((500, 336), 336, (512, 352)),
        ((100, 150), 336, (336, 336)),
        ((100, 150), None, (112, 160)),
        ((1, 1), None, (16, 16)),
        ((100, 150), 20, (112, 160)),
    ],
)
def test_size_of_whole_patches(size, crop, expected):
    assert spliceable_size(*size, 16, crop) == expected


@pytest.mark.parametrize("cells", [1, 2])
def test_windows_cut_from_one_map_give_that_map_back(cells):
    """Also on a grid finer than the patches."""
    size, patch = (40, 56), 8
    whole = torch.randn(40 // 8 * cells, 56 // 8 * cells, 3)
    windows = SlidingWindows(24, 16)(*size, patch)
    assert len(windows) == 6

    def cut(window):
        rows, columns = (
            slice(at // patch * cells, (at + 24) // patch * cells)
            for at in (window.top, window.left)
        )
        return whole[rows, columns]

    torch.testing.assert_close(splice(windows, [cut(w) for w in windows], size, patch), whole)


def test_overlaps_are_averaged():
    windows = [Window(0, 0, 8, 16), Window(0, 8, 8, 16)]
    features = [torch.full((1, 2, 1), 1.0), torch.full((1, 2, 1), 3.0)]
    assert splice(windows, features, (8, 24), 8).flatten().tolist() == [1, 2, 3]


def test_other_grids_are_resampled():
    """5 cells for 2 patches: 2 cells a patch come closest; 1 for 2 patches: one a patch."""
    window = [Window(0, 0, 16, 16)]
    ramp = torch.arange(5.0).expand(5, 5)[..., None]
    row = splice(window, [ramp], (16, 16), 8)[0, :, 0]
    assert row.shape == (4,)
    torch.testing.assert_close(row, torch.tensor([0.125, 1.375, 2.625, 3.875]))
    assert splice(window, [torch.ones(1, 1, 4)], (16, 16), 8).shape == (2, 2, 4)


@pytest.mark.parametrize(
    ("window", "size"),
    [(Window(0, 0, 16, 16), (16, 20)), (Window(0, 0, 14, 16, (0, 0, 1, 1)), (16, 16))],
)
def test_pictures_that_are_not_whole_patches_are_refused(window, size):
    with pytest.raises(ValueError, match="stretch the picture"):
        splice([window], [torch.ones(2, 2, 1)], size, 8)
