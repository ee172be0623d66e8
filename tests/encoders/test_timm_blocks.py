from __future__ import annotations

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.layers import resample_abs_pos_embed

from ovseg.encoders.timm_blocks import check_walkable, embed_patches, run_blocks
from ovseg.errors import ConfigError

SMALL = dict(embed_dim=48, num_heads=3, depth=3)

# timm model, patch: every way timm builds attention, layer scale, MLP, prefix and position.
MODELS = [
    ("vit_small_patch16_224", 16),
    ("vit_small_patch14_dinov2", 14),
    ("vit_small_patch14_reg4_dinov2", 14),
    ("vit_giant_patch14_dinov2", 14),
    ("vit_small_patch16_dinov3", 16),
    ("vit_small_patch16_dinov3_qkvb", 16),
    ("vit_small_plus_patch16_dinov3", 16),
    ("eva02_tiny_patch14_224", 14),
    ("vit_small_patch16_rope_mixed_ape_224", 16),
    ("vit_base_patch16_clip_224", 16),
]


def build(name: str, patch: int, widen):
    model = timm.create_model(
        name, num_classes=0, dynamic_img_size=True, img_size=4 * patch, **SMALL
    )
    return widen(model.eval())


def resize(table, old, new):
    return resample_abs_pos_embed(table, new, old, num_prefix_tokens=0)


@pytest.mark.parametrize(("name", "patch"), MODELS)
@pytest.mark.parametrize("grid", [(4, 4), (3, 5)])
@torch.no_grad()
def test_walk_gives_timms_own_features(name, patch, grid, widen):
    model = build(name, patch, widen)
    check_walkable(model, name)
    images = torch.randn(2, 3, grid[0] * patch, grid[1] * patch)
    x, rope, found = embed_patches(model, images, resize)
    out, (q, k, v) = run_blocks(model, x, rope)
    expected = model.forward_features(images)
    assert found == grid
    torch.testing.assert_close(model.norm(out), expected, rtol=1e-5, atol=1e-5)
    assert q.shape == k.shape == v.shape == (2, 3, model.num_prefix_tokens + grid[0] * grid[1], 16)


@pytest.mark.parametrize(("name", "patch"), MODELS)
@torch.no_grad()
def test_qkv_are_those_of_the_attention_product(name, patch, widen, monkeypatch):
    """Timm's own forward hands the same q, k, v to the product, and attention is not flat."""
    model = build(name, patch, widen)
    images = torch.randn(1, 3, 4 * patch, 4 * patch)
    x, rope, _ = embed_patches(model, images, resize)
    _, ours = run_blocks(model, x, rope)

    seen = []
    product = F.scaled_dot_product_attention

    def record(q, k, v, *args, **kwargs):
        seen.append((q, k, v))
        return product(q, k, v, *args, **kwargs)

    monkeypatch.setattr(F, "scaled_dot_product_attention", record)
    model.forward_features(images)
    for mine, theirs in zip(ours, seen[-1], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    q, k, _ = ours
    weights = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
    assert weights.amax(-1).mean() > 3 / weights.shape[-1]


def test_qkv_are_computed_once(widen):
    model = build("vit_small_patch16_224", 16, widen)
    calls = []
    model.blocks[-1].attn.qkv.register_forward_hook(lambda *_: calls.append(1))
    x, rope, _ = embed_patches(model, torch.randn(1, 3, 64, 64), resize)
    run_blocks(model, x, rope)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [("resnet18", {}), ("vit_srelpos_small_patch16_224", {}), ("beitv2_base_patch16_224", {})],
)
def test_other_models_are_refused(name, options):
    with pytest.raises(ConfigError, match=name):
        check_walkable(timm.create_model(name, **options), name)
