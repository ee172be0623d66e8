from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.encoders.dino import DINO, authors_position
from ovseg.errors import CheckpointMismatchError, ConfigError, WeightsNotFoundError
from ovseg.registry import MODELS

# timm model, patch, prefix tokens
TINY = [
    ("vit_small_patch16_224", 16, 1),
    ("vit_small_patch8_224", 8, 1),
    ("vit_small_patch14_dinov2", 14, 1),
    ("vit_small_patch14_reg4_dinov2", 14, 5),
    ("vit_small_patch16_dinov3", 16, 5),
    ("vit_small_patch16_dinov3_qkvb", 16, 5),
]
GRIDS = [(4, 4), (7, 3), (2, 8), (1, 1), (5, 9)]


def build(model: str, patch: int, widen=None, **options) -> DINO:
    overrides = dict(embed_dim=48, num_heads=3, depth=2, img_size=4 * patch)
    with pytest.warns(RandomWeightsWarning):
        dino = DINO(model, pretrained=None, overrides=overrides, **options)
    if widen is not None:
        widen(dino)
    return dino


@pytest.mark.parametrize(("model", "patch", "prefix"), TINY)
@pytest.mark.parametrize("position", ["authors", "bicubic_antialias"])
@pytest.mark.parametrize("grid", GRIDS)
def test_features_agree_with_timm(model, patch, prefix, position, grid, widen):
    """At the native size always; elsewhere where timm's own interpolation was asked for."""
    if position == "authors" or "dinov3" in model:
        dino = build(model, patch, widen)
    else:
        dino = build(model, patch, widen, position=position)
    images = torch.randn(2, 3, grid[0] * patch, grid[1] * patch)
    state = dino.features(images)
    count = grid[0] * grid[1]
    assert state.grid == grid
    assert state.tokens.shape == (2, count, 48)
    assert state.q.shape == state.k.shape == state.v.shape == (2, 3, count, 16)
    assert not state.tokens.requires_grad
    with torch.no_grad():
        expected = dino.vit.forward_features(images)[:, prefix:]
    same = grid == (4, 4) or dino.position in (None, "bicubic_antialias")
    assert torch.allclose(state.tokens, expected, rtol=1e-5, atol=1e-5) == same
    assert dino.num_prefix_tokens == prefix


def bicubic_weights(new: int, old: int) -> np.ndarray:
    """Give the (new, old) matrix of facebookresearch/dino's interpolation, from the formula.

    Cubic convolution with A = -0.75 (Keys, 1981), edges repeated, sampled with the scale
    (new + 0.1) / old.
    """
    out = np.zeros((new, old))
    for i in range(new):
        at = (i + 0.5) * old / (new + 0.1) - 0.5
        low = math.floor(at)
        for j in range(low - 1, low + 3):
            x, a = abs(at - j), -0.75
            if x <= 1:
                weight = (a + 2) * x**3 - (a + 3) * x**2 + 1
            else:
                weight = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
            out[i, min(max(j, 0), old - 1)] += weight
    return out


@pytest.mark.parametrize(("model", "patch"), [(m, p) for m, p, prefix in TINY if prefix == 1])
@pytest.mark.parametrize("grid", GRIDS[1:])
@torch.no_grad()
def test_original_position_interpolation(model, patch, grid, widen):
    dino = build(model, patch, widen)
    vit = dino.vit
    images = torch.randn(1, 3, grid[0] * patch, grid[1] * patch)
    rows, columns = (bicubic_weights(n, 4) for n in grid)
    table = vit.pos_embed[0, 1:].reshape(4, 4, 48).double().numpy()
    table = torch.from_numpy(np.einsum("ia,jb,abd->ijd", rows, columns, table)).float()

    x = vit.patch_embed.proj(images).permute(0, 2, 3, 1) + table
    cls = vit.cls_token + vit.pos_embed[:, :1]
    x = torch.cat([cls, x.flatten(1, 2)], dim=1)
    expected = vit.norm(vit.blocks(x))[:, 1:]
    torch.testing.assert_close(dino.features(images).tokens, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("model", "patch", "prefix"), TINY)
@torch.no_grad()
def test_registers_and_class_token_are_left_out(model, patch, prefix, widen):
    """Keys are one linear map of the normed tokens: those left are the patches', in order."""
    dino = build(model, patch, widen)
    inputs = []
    block = dino.vit.blocks[-1]
    block.norm1.register_forward_hook(lambda _m, _i, out: inputs.append(out))
    state = dino.features(torch.randn(1, 3, 2 * patch, 3 * patch))
    assert inputs[0].shape[1] == prefix + 6
    bias = block.attn.qkv.bias
    if bias is None and block.attn.v_bias is not None:
        bias = torch.cat([block.attn.q_bias, block.attn.k_bias, block.attn.v_bias])
    value = torch.nn.functional.linear(inputs[0], block.attn.qkv.weight, bias)[..., 96:]
    torch.testing.assert_close(state.map("v").flatten(2).mT, value[:, prefix:])


def test_map_lays_patches_out_row_by_row(widen):
    dino = build("vit_small_patch16_224", 16, widen)
    images = torch.randn(2, 3, 32, 48)
    state = dino.features(images)
    for kind in ("tokens", "q", "k", "v"):
        assert state.map(kind).shape == (2, 48, 2, 3)
    assert torch.equal(state.map("tokens")[1, :, 1, 2], state.tokens[1, 5])
    assert torch.equal(state.map("k")[1, 16:32, 1, 0], state.k[1, 1, 3])
    assert torch.equal(dino(images), state.map("tokens"))
    with pytest.raises(ConfigError, match="keys"):
        state.map("keys")


@pytest.mark.parametrize(("model", "patch", "prefix"), TINY)
def test_a_batch_gives_what_its_images_give(model, patch, prefix, widen):
    dino = build(model, patch, widen)
    images = torch.randn(3, 3, 3 * patch, 2 * patch)
    together = dino.features(images)
    for i in range(3):
        alone = dino.features(images[i : i + 1])
        torch.testing.assert_close(together.tokens[i], alone.tokens[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together.k[i], alone.k[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(33, 32), (32, 40), (15, 16), (1, 1)])
def test_sizes_the_patch_does_not_divide_are_refused(size):
    dino = build("vit_small_patch16_224", 16)
    with pytest.raises(ValueError, match=f"{size[0]} x {size[1]}"):
        dino.features(torch.zeros(1, 3, *size))


@pytest.mark.parametrize(("model", "patch", "prefix"), TINY)
@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.06), ("fp16", 0.01)])
def test_lower_precision_is_close(model, patch, prefix, precision, tolerance, widen):
    images = torch.randn(1, 3, 3 * patch, 4 * patch)
    exact = build(model, patch, widen).features(images)
    low = build(model, patch, widen, precision=precision).features(images)
    for kind in ("tokens", "q", "k", "v"):
        a, b = getattr(exact, kind), getattr(low, kind)
        assert b.dtype == torch.float32
        assert (a - b).norm() / a.norm() < tolerance


@pytest.mark.parametrize(
    ("model", "pretrained", "position"),
    [
        ("vit_base_patch16_224", "dino", "bicubic_offset"),
        ("vit_base_patch8_224", None, "bicubic_offset"),
        ("vit_large_patch14_dinov2", "lvd142m", "bicubic_offset"),
        ("vit_large_patch14_reg4_dinov2", "lvd142m", "bicubic_antialias"),
        ("vit_base_patch16_224", "mae", "bicubic_antialias"),
    ],
)
def test_authors_position(model, pretrained, position):
    assert authors_position(model, pretrained) == position


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"model": "vit_small_patch99"}, ConfigError, "vit_small_patch99"),
        ({"model": "vit_small_patch16_224.dino"}, ConfigError, "without a tag"),
        ({"model": "resnet18"}, ConfigError, "resnet18"),
        ({"position": "nearest"}, ConfigError, "nearest"),
        ({"model": "vit_small_patch16_dinov3", "position": "bicubic"}, ConfigError, "rotary"),
        ({"overrides": {"width": 3}}, ConfigError, "width"),
        ({"pretrained": "dinosaur"}, WeightsNotFoundError, "dinosaur"),
    ],
)
def test_what_cannot_be_built_is_refused(options, error, words):
    options = {"model": "vit_small_patch16_224", "pretrained": None, **options}
    with pytest.raises(error, match=words):
        DINO(**options)


@pytest.mark.parametrize(("model", "patch", "prefix"), TINY)
def test_a_local_file_loads_and_names_itself(model, patch, prefix, widen, tmp_path):
    dino = build(model, patch, widen)
    assert "random" in dino.fingerprint
    assert "depth=2" in dino.fingerprint
    path = tmp_path / "weights.pth"
    torch.save(dino.vit.state_dict(), path)
    overrides = dict(embed_dim=48, num_heads=3, depth=2, img_size=4 * patch)
    loaded = DINO(model, weights=str(path), overrides=overrides)
    images = torch.randn(1, 3, 2 * patch, 3 * patch)
    assert torch.equal(loaded.features(images).tokens, dino.features(images).tokens)
    assert "random" not in loaded.fingerprint
    assert "sha256" in loaded.fingerprint
    with pytest.raises(CheckpointMismatchError):
        DINO(model, weights=str(path), overrides={**overrides, "depth": 3})


def test_a_missing_file_is_named():
    with pytest.raises(WeightsNotFoundError, match=r"nowhere\.pth"):
        DINO("vit_small_patch16_224", weights="nowhere.pth")


def test_statistics_are_those_of_the_weights():
    """Timm's default weights of this model want another mean; no DINO does."""
    dino = build("vit_small_patch16_224", 16)
    assert (dino.mean, dino.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(("model", "patch", "prefix"), TINY)
def test_unfrozen_learns_in_all_its_blocks(model, patch, prefix, widen):
    dino = build(model, patch, widen, frozen=False)
    assert dino.train().training
    dino.features(torch.randn(1, 3, 2 * patch, 2 * patch)).tokens.square().mean().backward()
    missing = {name for name, p in dino.vit.named_parameters() if p.grad is None}
    assert not missing


def test_is_registered():
    assert MODELS.module_dict["DINO"] is DINO
