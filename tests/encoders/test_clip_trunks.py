from __future__ import annotations

import open_clip
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from ovseg.dense import (
    ClearCLIPAttention,
    CLIPtraseAttention,
    MaskCLIPAttention,
    NACLIPAttention,
    PlainAttention,
    SCLIPAttention,
)
from ovseg.encoders import CLIPText, CLIPViT
from ovseg.errors import ConfigError
from ovseg.refine.cliptrase import denoised
from tests.timm_clips import KINDS, timm_clip

RULES = [
    PlainAttention,
    MaskCLIPAttention,
    SCLIPAttention,
    ClearCLIPAttention,
    NACLIPAttention,
    CLIPtraseAttention,
]


@pytest.fixture
def built(tmp_path, widen):
    """``built(kind)``: our tower read from a checkpoint of open_clip's model, and that model."""

    def make(kind, **options):
        config = timm_clip(kind)
        name = config.pop("name")
        model = widen(open_clip.CustomTextCLIP(**config).eval(), std=0.2)
        path = tmp_path / f"{kind}.safetensors"
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
        encoder = CLIPViT({"name": name, **config}, pretrained=None, weights=path, **options)
        return encoder, model, path

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_forward_is_encode_image(built, kind):
    encoder, model, _ = built(kind)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model.encode_image(images)
    torch.testing.assert_close(encoder(images), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_tokens_and_the_last_block_are_those_of_timm(built, kind):
    encoder, model, _ = built(kind)
    images = torch.randn(2, 3, 32, 32)
    entering, leaving = [], []
    last = model.visual.trunk.blocks[-1]
    last.register_forward_pre_hook(lambda _, args: entering.append(args[0]))
    last.register_forward_hook(lambda _, args, output: leaving.append(output))
    model.visual(images)
    state = encoder.tokens(images)
    assert (state.grid, state.num_prefix) == ((4, 4), encoder.num_prefix_tokens)
    torch.testing.assert_close(state.tokens, entering[0], atol=1e-5, rtol=1e-5)
    block = encoder.block(1, state.grid)
    torch.testing.assert_close(block.plain(state.tokens), leaving[0], atol=1e-4, rtol=1e-4)
    q, k, v = block.qkv(block.norm1(state.tokens))
    assert q.shape == k.shape == v.shape == (2, 4, encoder.num_prefix_tokens + 16, 8)
    mixed = (q @ k.mT * block.scale).softmax(-1) @ v
    by_hand = block.residual_mlp(block.residual_attn(state.tokens, mixed))
    torch.testing.assert_close(by_hand, leaving[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("grid", [(2, 7), (6, 3)])
@torch.no_grad()
def test_eva02_at_any_size_is_timm_built_for_any_size(built, grid, widen):
    encoder, model, _ = built("eva02", position="bicubic_antialias")
    trunk = model.visual.trunk
    free = type(trunk)(**{
        "img_size": 32, "patch_size": 8, "embed_dim": 32, "num_heads": 4, "depth": 3,
        "qkv_fused": False, "mlp_ratio": 8 / 3, "swiglu_mlp": True, "scale_mlp": True,
        "scale_attn_inner": True, "use_rot_pos_emb": True, "ref_feat_shape": (5, 5),
        "global_pool": "token", "num_classes": 32, "dynamic_img_size": True,
    }).eval()  # fmt: skip
    free.load_state_dict(trunk.state_dict())
    images = torch.randn(1, 3, grid[0] * 8, grid[1] * 8)
    torch.testing.assert_close(encoder(images), free(images), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_rotary_positions_are_those_of_the_grid(built):
    encoder, _, _ = built("eva02")
    state = encoder.tokens(torch.randn(1, 3, 48, 16))
    block, other = encoder.block(1, (6, 2)), encoder.block(1, (2, 6))
    q, _, v = block.qkv(block.norm1(state.tokens))
    turned = other.qkv(other.norm1(state.tokens))
    assert not torch.allclose(q, turned[0])
    torch.testing.assert_close(v, turned[2])  # values are not rotated
    torch.testing.assert_close(q[:, :, 0], turned[0][:, :, 0])  # nor is the class token


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@torch.no_grad()
def test_every_rule_reads_them(built, kind, rule):
    encoder, _, _ = built(kind)
    images = torch.randn(2, 3, 24, 40)
    state = encoder.tokens(images)
    tokens, grid = rule()(encoder.block(1, state.grid), state)
    dense = encoder.project(tokens)
    assert (grid, dense.shape) == ((3, 5), (2, 15, 32))
    assert torch.isfinite(dense).all()
    alone = encoder.tokens(images[1:])
    tokens, _ = rule()(encoder.block(1, alone.grid), alone)
    torch.testing.assert_close(encoder.project(tokens)[0], dense[1], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_value_path_of_a_sub_norm(built):
    """MaskCLIP on EVA02: the value goes through the inner norm before it is projected."""
    encoder, model, _ = built("eva02")
    last = model.visual.trunk.blocks[-1]
    state = encoder.tokens(torch.randn(1, 3, 32, 32))
    y = last.attn.v_proj(last.norm1(state.tokens))
    x = state.tokens + last.attn.proj(last.attn.norm(y))
    expected = x + last.mlp(last.norm2(x))
    found, _ = MaskCLIPAttention()(encoder.block(1, state.grid), state)
    torch.testing.assert_close(found, expected[:, 1:], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_attention_pooling_that_looks_at_one_token(built):
    """SigLIP's dense projection is its pooling with all attention on the token."""
    encoder, model, _ = built("siglip")
    tokens = torch.randn(1, 5, 32)
    pool = model.visual.trunk.attn_pool
    projected = encoder.project(tokens)
    for i in range(5):
        normed = model.visual.trunk.norm(tokens[:, i : i + 1])
        torch.testing.assert_close(pool(normed), projected[:, i], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_half_precision(built, kind):
    encoder, _, _ = built(kind)
    half, _, _ = built(kind, precision="bf16")
    images = torch.randn(2, 3, 40, 24)
    exact, rough = encoder(images), half(images)
    assert rough.dtype == torch.float32
    assert F.cosine_similarity(exact, rough).min() > 0.99


@torch.no_grad()
def test_tokens_of_blocks_are_kept_on_the_way(built):
    encoder, model, _ = built("eva02")
    seen = []
    handle = model.visual.trunk.blocks[1].norm2.register_forward_hook(
        lambda m, i, output: seen.append(output)
    )
    images = torch.randn(1, 3, 32, 32)
    model.visual(images)
    handle.remove()
    state = encoder.tokens(images, keep=(-2,))
    torch.testing.assert_close(state.kept[-2], seen[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(state.tokens, encoder.tokens(images).tokens, atol=1e-4, rtol=1e-4)


def test_gradients_and_checkpoints_of_a_trainable_tower(built):
    encoder, model, _ = built("eva02", frozen=False)
    encoder(torch.randn(1, 3, 32, 32)).sum().backward()
    assert encoder.visual.trunk.blocks[0].attn.q_proj.weight.grad.abs().sum() > 0
    assert set(encoder.visual.state_dict()) == set(model.visual.state_dict())


def test_the_text_tower_beside_it(built):
    config = timm_clip("eva02")
    _, model, path = built("eva02")
    text = CLIPText(config, pretrained=None, weights=path)
    tokens = open_clip.SimpleTokenizer(context_length=16)(["a cat"])
    with torch.no_grad():
        expected = model.encode_text(tokens)
    torch.testing.assert_close(text.encode(["a cat"]), expected, atol=1e-5, rtol=1e-5)


def test_without_class_token_there_is_nothing_to_compare_with():
    with pytest.raises(ConfigError, match="class token, which this image tower does not have"):
        denoised(torch.eye(4), num_prefix=0)


def test_real_eva02_is_built_like_the_miniature():
    """What the miniature stands for: the same kinds of layers."""
    with torch.device("meta"):
        real = timm.create_model("eva02_base_patch16_clip_224")
        tiny = timm.create_model("ovseg_test_eva02_clip")
    names = {name for name, _ in real.blocks[0].named_parameters()}
    assert names == {name for name, _ in tiny.blocks[0].named_parameters()}
    kinds = [[type(m).__name__ for m in vit.blocks[0].modules()] for vit in (real, tiny)]
    assert kinds[0] == kinds[1]
    assert type(real.rope) is type(tiny.rope)
