from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ovseg.encoders.last_block import LastBlock
from ovseg.errors import ConfigError

KINDS = ["vit", "vit-layerscale", "vit-qknorm", "vit-avg"]


def _block(tiny_clip, kind):
    _, model, _ = tiny_clip(kind)
    return model.visual.transformer.resblocks[-1].eval()


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_make_the_block(tiny_clip, kind):
    module = _block(tiny_clip, kind)
    block = LastBlock(module)
    x = torch.randn(2, 9, 64)
    torch.testing.assert_close(block.plain(x), module(x), atol=1e-5, rtol=1e-5)

    q, k, v = block.qkv(block.norm1(x))
    assert q.shape == k.shape == v.shape == (2, 4, 9, 16)
    attention = (q @ k.mT * block.scale).softmax(dim=-1)
    y = block.residual_mlp(block.residual_attn(x, attention @ v))
    torch.testing.assert_close(y, module(x), atol=1e-5, rtol=1e-5)


def test_qkv_and_merge_match_torch(tiny_clip):
    module = _block(tiny_clip, "vit")
    block = LastBlock(module)
    x = torch.randn(2, 9, 64)
    q, k, v = block.qkv(x)
    expected, _ = module.attn(x, x, x, need_weights=False)
    merged = block.merge(F.scaled_dot_product_attention(q, k, v))
    torch.testing.assert_close(merged, expected, atol=1e-5, rtol=1e-5)


def test_layer_scale_is_in_the_branches_and_not_in_merge(tiny_clip):
    module = _block(tiny_clip, "vit-layerscale")
    block = LastBlock(module)
    o, x = torch.randn(1, 4, 9, 16), torch.randn(1, 9, 64)
    torch.testing.assert_close(block.attn_branch(o), block.merge(o) * module.ls_1.gamma)
    torch.testing.assert_close(block.mlp(x), module.mlp(module.ln_2(x)) * module.ls_2.gamma)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_in_and_out_whatever_the_weights(tiny_clip, dtype):
    module = _block(tiny_clip, "vit-qknorm")
    x = torch.randn(1, 9, 64)
    exact = LastBlock(module).plain(x)
    block = LastBlock(module.to(dtype))
    pieces = [block.norm1(x), *block.qkv(x), block.merge(block.qkv(x)[0]), block.mlp(x)]
    assert {piece.dtype for piece in pieces} == {torch.float32}
    torch.testing.assert_close(block.plain(x), exact, atol=0.1, rtol=0.1)


def test_gradients_reach_the_inputs(tiny_clip):
    module = _block(tiny_clip, "vit").requires_grad_(False)
    x = torch.randn(1, 9, 64, requires_grad=True)
    LastBlock(module).plain(x).sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("module", [torch.nn.Linear(2, 2), torch.nn.Identity()])
def test_blocks_without_attention_are_refused(module):
    with pytest.raises(ConfigError, match="cannot be taken apart"):
        LastBlock(module)


def test_scaled_cosine_attention_is_refused():
    from open_clip.transformer import CustomResidualAttentionBlock

    with pytest.raises(ConfigError, match="cannot be taken apart"):
        LastBlock(CustomResidualAttentionBlock(64, 4, scale_cosine_attn=True))
