"""Attention rules against their formulas written out on open_clip's own modules."""

from __future__ import annotations

import pytest
import torch

from ovseg.dense import neighborhood
from ovseg.dense.neighborhood import gaussian_rows
from ovseg.registry import MODELS
from tests.tiny import build_segmentor

RULES = {
    "SCLIPAttention": ("qk", None, True),
    "ClearCLIPAttention": ("q", None, False),
    "NACLIPAttention": ("k", 5.0, False),
    "CLIPtraseAttention": ("qkv", None, True),
    "SelfCorrelation": ("qkv", None, True),
}


def tokens_and_block(model, pixels):
    """What enters the last block of the tower, and that block."""
    visual = model.image_encoder.visual
    *_, before, last = visual.transformer.resblocks
    seen = []
    handle = before.register_forward_hook(lambda module, inputs, output: seen.append(output))
    visual(pixels)
    handle.remove()
    return seen[0], last


def written_out(model, pixels, kinds, std, whole_block):
    """The rule by matrices: (B, N, E)."""
    x, block = tokens_and_block(model, pixels)
    heads, width = block.attn.num_heads, x.shape[-1]
    joint = block.ln_1(x) @ block.attn.in_proj_weight.T + block.attn.in_proj_bias
    parts = joint.unflatten(-1, (3, heads, width // heads)).permute(2, 0, 3, 1, 4)
    of = dict(zip("qkv", parts, strict=True))
    weights = 0
    for kind in kinds:
        scores = of[kind] @ of[kind].transpose(-2, -1) / (width // heads) ** 0.5
        if std is not None:
            scores = scores + places(*(side // 8 for side in pixels.shape[-2:]), std)
        weights = weights + scores.softmax(-1)
    assert weights.amax(-1).mean() > 3 * len(kinds) / weights.shape[-1], "attention is uniform"
    out = block.attn.out_proj((weights @ of["v"]).transpose(1, 2).flatten(2))
    if whole_block:
        out = x + out
        out = out + block.mlp(block.ln_2(out))
    visual = model.image_encoder.visual
    return (visual.ln_post(out) @ visual.proj)[:, 1:]


def places(rows, columns, std):
    """Gaussian of the distance of patches; nothing for the class token."""
    near = torch.zeros(1 + rows * columns, 1 + rows * columns)
    for a in range(rows * columns):
        for b in range(rows * columns):
            squared = (a // columns - b // columns) ** 2 + (a % columns - b % columns) ** 2
            near[1 + a, 1 + b] = 2.718281828459045 ** (-squared / (2 * std**2))
    return near


@pytest.mark.parametrize("size", [(32, 32), (24, 64)])
@pytest.mark.parametrize("rule", RULES)
@torch.no_grad()
def test_rules_are_their_formulas(rule, size):
    kinds, std, whole_block = RULES[rule]
    model = build_segmentor(rule)
    visual = model.image_encoder.visual
    visual.positional_embedding[1:] = 0  # so that any size is open_clip's own
    if size != (32, 32):
        cells = size[0] // 8 * (size[1] // 8)
        first = visual.positional_embedding[:1]
        visual.positional_embedding = torch.nn.Parameter(
            torch.cat([first, torch.zeros(cells, first.shape[1])]), requires_grad=False
        )
        model.image_encoder.native_grid = (size[0] // 8, size[1] // 8)
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    dense = model.dense_features(pixels).flatten(1, 2)
    expected = written_out(model, pixels, kinds, std, whole_block)
    torch.testing.assert_close(dense, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
@torch.no_grad()
def test_an_image_does_not_depend_on_its_batch(rule):
    model = build_segmentor(rule)
    pixels = torch.randn(5, 3, 40, 56, generator=torch.Generator().manual_seed(2))
    together = model.dense_features(pixels)
    for image, dense in zip(pixels.split(1), together, strict=True):
        assert torch.equal(model.dense_features(image)[0], dense)


@pytest.mark.parametrize("rule", RULES)
@torch.no_grad()
def test_one_patch_is_enough(rule):
    dense = build_segmentor(rule).dense_features(torch.ones(1, 3, 8, 8))
    assert dense.shape == (1, 1, 1, 16) and torch.isfinite(dense).all()


def test_the_residual_and_the_mlp_are_settings():
    pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    maps = []
    for settings in ({}, {"residual": True}, {"residual": True, "mlp": True}):
        model = build_segmentor("ClearCLIPAttention")
        model.attention = MODELS.build({"type": "ClearCLIPAttention", **settings})
        maps.append(model.dense_features(pixels))
    assert (maps[0] - maps[1]).abs().max() > 0.01 < (maps[1] - maps[2]).abs().max()


@pytest.mark.parametrize("kinds", [(), ("q", "x")])
def test_unknown_kinds_are_refused(kinds):
    with pytest.raises(ValueError, match="kinds"):
        MODELS.build({"type": "SelfCorrelation", "kinds": kinds})


@pytest.mark.parametrize("prefix", [0, 1, 3])
def test_places_in_pieces_are_the_places(prefix):
    whole = gaussian_rows((3, 5), prefix, 2.0, slice(0, prefix + 15))
    parts = [gaussian_rows((3, 5), prefix, 2.0, slice(i, i + 2)) for i in range(0, prefix + 15, 2)]
    assert torch.equal(torch.cat(parts), whole)
    torch.testing.assert_close(whole[prefix:, prefix:], places(3, 5, 2.0)[1:, 1:])
    assert not whole[:prefix].any() and not whole[:, :prefix].any()


def test_long_token_rows_are_read_in_pieces(monkeypatch):
    model = build_segmentor("NACLIPAttention")
    pixels = torch.randn(2, 3, 40, 56, generator=torch.Generator().manual_seed(2))
    whole = model.dense_features(pixels)
    monkeypatch.setattr(neighborhood, "_CHUNK", 7 * 36)
    torch.testing.assert_close(model.dense_features(pixels), whole, rtol=1e-4, atol=1e-5)


def test_a_neighborhood_needs_a_width():
    with pytest.raises(ValueError, match="std"):
        MODELS.build({"type": "NACLIPAttention", "std": 0})
