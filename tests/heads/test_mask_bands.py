from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ovseg.heads.mask_bands import MaskBands

# small masks, padded picture, picture, wanted size
CASES = [
    ((8, 12), (32, 48), (32, 48), (32, 48)),
    ((8, 12), (32, 48), (27, 41), (70, 33)),
    ((8, 8), (32, 32), (5, 7), (5, 7)),
    ((8, 8), (32, 32), (1, 32), (3, 100)),
    ((16, 24), (64, 96), (64, 90), (10, 11)),
]


def enlarged(masks, padded, shown, size):
    masks = F.interpolate(masks[None], padded, mode="bilinear", align_corners=False)
    masks = masks[..., : shown[0], : shown[1]]
    return F.interpolate(masks, size, mode="bilinear", align_corners=False)[0]


@pytest.mark.parametrize("band_bytes", [1, 5000, 2**30])
@pytest.mark.parametrize(("small", "padded", "shown", "size"), CASES)
def test_bands_are_the_enlarged_masks(small, padded, shown, size, band_bytes):
    torch.manual_seed(0)
    masks = torch.randn(5, *small)
    bands = list(MaskBands(masks, padded, shown, size).bands(3, band_bytes))
    assert [start for start, _ in bands] == [
        sum(b.shape[1] for _, b in bands[:i]) for i in range(len(bands))
    ]
    found = torch.cat([band for _, band in bands], dim=1)
    torch.testing.assert_close(found, enlarged(masks, padded, shown, size), atol=1e-5, rtol=1e-5)
    if band_bytes == 1:
        assert len(bands) == size[0]
