from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ovseg.dense import Picture, SAMCorrelation, Window, WindowBatch
from ovseg.dense.sam_correlation import correlate
from ovseg.dense.sam_view import sam_view
from ovseg.errors import ConfigError
from tests.dense.tiny_sam import tiny_sam


def photograph(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    blobs = torch.rand(1, 3, 4, 5, generator=generator) * 255
    return F.interpolate(blobs, (height, width), mode="bilinear")[0].to(torch.uint8)


def aggregate(aggregator, features, picture, sam):
    window = Window(0, 0, *picture.size)
    return aggregator(features[None], WindowBatch([picture], [window]), sam)[0]


def by_formula(sam, state, values, cos_factor, mend):
    """The whole matrix at once, as the paper and its code have it."""
    index = state.valid_index
    attention = sam.attention_rows(state, index, index)[0]
    unit = F.normalize(sam.values(state)[0][:, index], dim=-1)
    cosines = unit @ unit.transpose(1, 2)
    threshold = cos_factor * cosines.mean(0).mean(-1)
    if mend:
        threshold = torch.where(threshold < 0, 0.6, threshold)
    threshold = torch.where(threshold > 0.9, 0.9, threshold)
    kept = torch.where(cosines > threshold[None, :, None], attention, 0).mean(0)
    return kept / kept.sum(-1, keepdim=True) @ values


@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize(
    ("cos_factor", "mend"), [(1.2, False), (0.0, False), (30.0, False), (-3.0, True)]
)
def test_rows_give_what_the_whole_matrix_gives(cos_factor, mend, rows):
    sam = tiny_sam()
    state = sam_view(Picture(photograph(50, 64)), sam)
    values = torch.randn(6 * 8, 5)
    found = correlate(sam, state, values, cos_factor, mend, rows)
    expected = by_formula(sam, state, values, cos_factor, mend)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert (expected - values).abs().max() > 0.1


def test_a_patch_that_attends_to_nothing_alike_keeps_its_features():
    sam = tiny_sam()
    state = sam_view(Picture(photograph(64, 64)), sam)
    sam.attention_rows = lambda *_: torch.zeros(1, 3, 64, 64)
    values = torch.randn(64, 4)
    assert torch.equal(correlate(sam, state, values), values)


@pytest.mark.parametrize(
    ("size", "grid"),
    [((40, 64), (5, 8)), ((64, 20), (8, 2)), ((30, 33), (7, 8)), ((1, 90), (1, 8))],
)
def test_result_lies_on_the_grid_of_sam(size, grid):
    picture = Picture(photograph(24, 48), photograph(*size))
    found = aggregate(SAMCorrelation(), torch.randn(3, 6, 10), picture, tiny_sam())
    assert found.shape == (*grid, 10)
    assert torch.isfinite(found).all()


def test_halves_of_a_wide_picture_do_not_see_each_other():
    sam, features = tiny_sam(), torch.randn(4, 8, 6)
    picture = Picture(photograph(32, 64))
    found = aggregate(SAMCorrelation(halves=True), features, picture, sam)
    assert found.shape == (8, 16, 6)
    changed = features.clone()
    changed[:, 4:] += 1
    again = aggregate(SAMCorrelation(halves=True), changed, picture, sam)
    assert torch.equal(found[:, :8], again[:, :8])
    assert not torch.allclose(found[:, 8:], again[:, 8:])
    upright = Picture(photograph(64, 64))
    assert aggregate(SAMCorrelation(halves=True), features, upright, sam).shape == (8, 8, 6)


def test_sam_looks_once_at_the_original():
    sam, seen = tiny_sam(), []
    encode = sam.encode
    sam.encode = lambda images: (seen.append(tuple(images.shape)), encode(images))[1]
    picture = Picture(photograph(24, 30), photograph(100, 125)).stretched((32, 32))
    aggregate(SAMCorrelation(), torch.randn(4, 4, 6), picture, sam)
    aggregate(SAMCorrelation(), torch.randn(4, 4, 6), picture.stretched((24, 40)), sam)
    assert seen == [(1, 3, 51, 64)]
    sam_view(picture, sam, multiple=64)  # 128 x 128
    assert seen[1:] == [(1, 3, 64, 64)]


def test_the_last_block_must_see_the_whole_image():
    sam = tiny_sam(global_attn_indexes=(0,))
    with pytest.raises(ConfigError, match="global_attn_indexes"):
        aggregate(SAMCorrelation(), torch.randn(4, 4, 6), Picture(photograph(32, 32)), sam)
