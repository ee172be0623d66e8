from __future__ import annotations

import pytest
import torch
from segment_anything.modeling.image_encoder import Block

from ovseg.encoders.sam_attention import GlobalAttention

GRID = (5, 7)
N = GRID[0] * GRID[1]


@pytest.fixture(params=[True, False], ids=["relative", "plain"])
def case(request, widen):
    """A global block, its input, and its attention by the formula, whole; in float64."""
    block = Block(24, num_heads=3, use_rel_pos=request.param, input_size=GRID).eval()
    widen(block, seed=1).double()
    tokens = torch.randn(2, *GRID, 24).double()
    with torch.no_grad():
        yield block, tokens, whole_attention(block, tokens)


def whole_attention(block: Block, tokens: torch.Tensor) -> torch.Tensor:
    """(B, heads, N, N), entry by entry: q . (k / sqrt(d) + R_rows[dy] + R_columns[dx])."""
    layer = block.attn
    q, k, _ = layer.qkv(block.norm1(tokens)).flatten(1, 2).chunk(3, dim=-1)
    out = tokens.new_empty(2, 3, N, N)
    for b in range(2):
        for head in range(3):
            part = slice(8 * head, 8 * head + 8)
            for i in range(N):
                for j in range(N):
                    key = k[b, j, part] * 8**-0.5
                    if layer.use_rel_pos:
                        dy, dx = i // 7 - j // 7, i % 7 - j % 7
                        key = key + layer.rel_pos_h[dy + 4] + layer.rel_pos_w[dx + 6]
                    out[b, head, i, j] = q[b, i, part] @ key
    return out.softmax(-1)


def test_rows_are_those_of_the_formula(case):
    block, tokens, whole = case
    attention = GlobalAttention.of_block(block, tokens)
    assert whole.amax(-1).mean() > 5 / N
    index = torch.tensor([34, 0, 9])
    torch.testing.assert_close(attention.rows(slice(0, N)), whole)
    torch.testing.assert_close(attention.rows(slice(6, 11)), whole[:, :, 6:11])
    torch.testing.assert_close(attention.rows(index), whole[:, :, index])


@pytest.mark.parametrize("chunk", [1, 4, N, 1000, None])
def test_apply_in_chunks_is_the_whole_product(case, chunk):
    block, tokens, whole = case
    attention = GlobalAttention.of_block(block, tokens)
    per_head, shared = torch.randn(2, 3, N, 6).double(), torch.randn(2, N, 10).double()
    rows = torch.tensor([3, 30, 2, 2])
    for values, expected in [(per_head, whole @ per_head), (shared, whole.mean(1) @ shared)]:
        got = attention.apply(values, chunk=chunk)
        torch.testing.assert_close(got, expected)
        some = attention.apply(values, rows=rows, chunk=chunk)
        torch.testing.assert_close(some, expected[..., rows, :])


def test_own_output_rebuilds_the_block(case):
    block, tokens, _ = case
    attention = GlobalAttention.of_block(block, tokens)
    x = tokens + block.attn.proj(attention.own_output(chunk=4))
    x = x + block.mlp(block.norm2(x))
    torch.testing.assert_close(x, block(tokens))


def test_never_more_rows_than_asked(case, monkeypatch):
    block, tokens, _ = case
    attention = GlobalAttention.of_block(block, tokens)
    sizes = []
    rows = GlobalAttention.rows
    monkeypatch.setattr(
        GlobalAttention, "rows", lambda self, r: sizes.append(len(r)) or rows(self, r)
    )
    attention.apply(torch.randn(2, N, 4), chunk=8)
    assert sizes == [8, 8, 8, 8, 3]


@pytest.mark.parametrize(
    ("shape", "chunk", "words"),
    [
        ((2, N + 1, 4), None, "do not fit"),
        ((N, 4), None, "do not fit"),
        ((2, 4, N, 4), None, "do not fit"),
        ((2, N, 4), 0, "at least 1"),
    ],
)
def test_wrong_values_are_refused(case, shape, chunk, words):
    block, tokens, _ = case
    attention = GlobalAttention.of_block(block, tokens)
    with pytest.raises(ValueError, match=words):
        attention.apply(torch.zeros(shape), chunk=chunk)
