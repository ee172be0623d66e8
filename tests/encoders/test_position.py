from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ovseg.encoders.position import POSITION_MODES, resize_position_embedding


def _embedding(rows=4, columns=4, prefix=1, width=6, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    count = prefix + rows * columns
    return torch.randn(count, width, generator=generator).to(dtype)


def _plane(position, prefix, rows, columns):
    return position[prefix:].T.reshape(1, -1, rows, columns)


def _flat(plane):
    return plane[0].flatten(1).T


def _cubic_weight(x, a=-0.75):
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    if x < 2:
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return 0.0


def _cubic_line(values, count, scale):
    """One axis of plain bicubic interpolation by hand: edge samples repeat."""
    out = []
    for i in range(count):
        centre = (i + 0.5) * scale - 0.5
        base = int(torch.floor(torch.tensor(centre)))
        total = torch.zeros_like(values[0])
        for j in range(base - 1, base + 3):
            total = total + values[min(max(j, 0), len(values) - 1)] * _cubic_weight(centre - j)
        out.append(total)
    return torch.stack(out)


def _bicubic_by_hand(position, prefix, native, grid, scales):
    square = position[prefix:].reshape(*native, -1)
    tall = _cubic_line(list(square), grid[0], scales[0])
    wide = _cubic_line(list(tall.transpose(0, 1)), grid[1], scales[1])
    return wide.transpose(0, 1).flatten(0, 1)


@pytest.mark.parametrize("mode", POSITION_MODES)
@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_native_grid_is_untouched(mode, prefix):
    position = _embedding(prefix=prefix)
    assert resize_position_embedding(position, (4, 4), mode, prefix) is position


@pytest.mark.parametrize("mode", POSITION_MODES)
@pytest.mark.parametrize("grid", [(7, 7), (3, 9), (2, 2), (1, 1), (14, 5), (2, 8)])
def test_shape_prefix_and_input(mode, grid):
    position = _embedding(prefix=2)
    before = position.clone()
    resized = resize_position_embedding(position, grid, mode, num_prefix=2)
    assert resized.shape == (2 + grid[0] * grid[1], 6)
    assert torch.equal(resized[:2], position[:2])
    assert torch.equal(position, before)


@pytest.mark.parametrize("grid", [(7, 7), (3, 9), (28, 6)])
def test_bicubic_by_hand(grid):
    position = _embedding()
    expected = _bicubic_by_hand(position, 1, (4, 4), grid, (4 / grid[0], 4 / grid[1]))
    resized = resize_position_embedding(position, grid, "bicubic")
    torch.testing.assert_close(resized[1:], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("grid", [(7, 7), (3, 9), (28, 6)])
def test_offset_by_hand(grid):
    # Original DINO: sample points follow the factor (n + 0.1) / N, not the ratio of the sizes.
    position = _embedding()
    scales = (4 / (grid[0] + 0.1), 4 / (grid[1] + 0.1))
    expected = _bicubic_by_hand(position, 1, (4, 4), grid, scales)
    resized = resize_position_embedding(position, grid, "bicubic_offset")
    torch.testing.assert_close(resized[1:], expected, atol=1e-4, rtol=0)
    plain = resize_position_embedding(position, grid, "bicubic")
    assert (resized - plain).abs().max() > 1e-3


def test_antialias_matches_open_clip():
    from types import SimpleNamespace

    from open_clip.model import resize_pos_embed

    position = _embedding(rows=6, columns=6)
    state = {"visual.positional_embedding": position.clone()}
    visual = SimpleNamespace(grid_size=(3, 4), positional_embedding=torch.empty(13, 6))
    resize_pos_embed(state, SimpleNamespace(visual=visual))
    resized = resize_position_embedding(position, (3, 4), "bicubic_antialias")
    torch.testing.assert_close(resized, state["visual.positional_embedding"])
    # Shrinking is where antialiasing shows.
    assert (resized - resize_position_embedding(position, (3, 4), "bicubic")).abs().max() > 1e-2


def test_bilinear_by_hand():
    position = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    resized = resize_position_embedding(position, (2, 4), "bilinear", num_prefix=0)
    row = torch.tensor([0.0, 0.25, 0.75, 1.0])
    torch.testing.assert_close(resized[:, 0], torch.cat([row, row + 2]))


def test_rectangular_native_grid():
    position = _embedding(rows=2, columns=5)
    resized = resize_position_embedding(position, (4, 10), "bicubic", native_grid=(2, 5))
    expected = F.interpolate(_plane(position, 1, 2, 5), size=(4, 10), mode="bicubic")
    torch.testing.assert_close(resized[1:], _flat(expected))


def test_batch_axis_and_dtype_are_kept():
    position = _embedding(dtype=torch.bfloat16)[None]
    resized = resize_position_embedding(position, (5, 3))
    assert resized.shape == (1, 16, 6)
    assert resized.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("position", "arguments", "message"),
    [
        (_embedding(), dict(grid=(2, 2), mode="nearest"), "not known: choose one of"),
        (_embedding(rows=2, columns=5), dict(grid=(2, 2)), "not a grid of 3 x 3"),
        (_embedding(), dict(grid=(2, 2), native_grid=(3, 3)), "not a grid of 3 x 3"),
        (torch.zeros(1, 4), dict(grid=(2, 2)), "not a grid"),
    ],
)
def test_refusals(position, arguments, message):
    with pytest.raises(ValueError, match=message):
        resize_position_embedding(position, **arguments)
