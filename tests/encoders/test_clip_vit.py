from __future__ import annotations

import pytest
import torch

from ovseg.encoders import CLIPConv, CLIPViT
from ovseg.encoders.position import POSITION_MODES
from ovseg.errors import ConfigError

KINDS = ["vit", "vit-layerscale", "vit-qknorm", "vit-avg"]


def _encoder(tiny_clip, kind="vit", **options):
    config, model, path = tiny_clip(kind)
    return CLIPViT(config, pretrained=None, weights=path, **options), model


@pytest.mark.parametrize("kind", KINDS)
def test_forward_is_encode_image(tiny_clip, kind):
    encoder, model = _encoder(tiny_clip, kind)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model.encode_image(images)
    torch.testing.assert_close(encoder(images), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_activation(tiny_clip, quick_gelu):
    config, model, path = tiny_clip(quick_gelu=quick_gelu)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = model.encode_image(images)
    right = CLIPViT(config, pretrained=None, weights=path)
    wrong = CLIPViT(config, pretrained=None, weights=path, quick_gelu=not quick_gelu)
    torch.testing.assert_close(right(images), expected, atol=1e-5, rtol=1e-5)
    assert (wrong(images) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["vit", "vit-layerscale", "vit-qknorm"])
def test_dense_tokens_are_those_of_open_clip(tiny_clip, kind):
    encoder, model = _encoder(tiny_clip, kind)
    images = torch.randn(2, 3, 64, 64)
    model.visual.output_tokens = True
    with torch.no_grad():
        _, tokens = model.visual(images)  # behind ln_post, before the projection
        expected = tokens @ model.visual.proj
    state = encoder.tokens(images)
    assert (state.grid, state.num_prefix) == ((4, 4), 1)
    dense = encoder.project(encoder.last_block.plain(state.tokens))[:, state.num_prefix :]
    torch.testing.assert_close(dense, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (32, 96), (16, 16), (80, 48)])
@pytest.mark.parametrize("position", POSITION_MODES)
def test_any_size(tiny_clip, size, position):
    encoder, _ = _encoder(tiny_clip, position=position)
    state = encoder.tokens(torch.randn(1, 3, *size))
    grid = (size[0] // 16, size[1] // 16)
    assert state.grid == grid
    assert state.tokens.shape == (1, 1 + grid[0] * grid[1], encoder.width)


def test_other_sizes_match_open_clip_with_a_resized_embedding(tiny_clip, tiny_config):
    import open_clip
    from open_clip.model import resize_pos_embed

    encoder, model = _encoder(tiny_clip)
    config = tiny_config()
    config["vision_cfg"]["image_size"] = (96, 32)
    larger = open_clip.CLIP(**config).eval()
    state = model.state_dict()
    resize_pos_embed(state, larger)
    larger.load_state_dict(state)
    images = torch.randn(1, 3, 96, 32)
    with torch.no_grad():
        expected = larger.encode_image(images)
    torch.testing.assert_close(encoder(images), expected, atol=1e-5, rtol=1e-5)


def test_the_position_mode_matters_off_the_native_size(tiny_clip):
    images = torch.randn(1, 3, 96, 80)
    seen = [_encoder(tiny_clip, position=mode)[0].tokens(images).tokens for mode in POSITION_MODES]
    for i, one in enumerate(seen):
        for other in seen[i + 1 :]:
            assert (one - other).abs().max() > 1e-5


def test_attributes(tiny_clip):
    encoder, _ = _encoder(tiny_clip)
    assert (encoder.patch_size, encoder.width, encoder.num_heads) == (16, 64, 4)
    assert (encoder.embed_dim, encoder.num_prefix_tokens) == (32, 1)
    assert encoder.last_block.scale == 0.25


def test_gradients_flow_through_project_of_a_frozen_encoder(tiny_clip):
    encoder, _ = _encoder(tiny_clip)
    tokens = encoder.tokens(torch.randn(1, 3, 64, 64)).tokens
    assert not tokens.requires_grad
    tokens.requires_grad_()
    encoder.project(tokens).sum().backward()
    assert tokens.grad.abs().sum() > 0


def test_trainable_when_asked(tiny_clip):
    encoder, _ = _encoder(tiny_clip, frozen=False)
    encoder(torch.randn(1, 3, 64, 64)).sum().backward()
    assert encoder.visual.conv1.weight.grad.abs().sum() > 0


def test_sizes_the_patch_does_not_divide(tiny_clip):
    encoder, _ = _encoder(tiny_clip)
    with pytest.raises(ValueError, match="image size 60 x 64 is not a multiple of the patch"):
        encoder.tokens(torch.randn(1, 3, 60, 64))


def test_unknown_position(tiny_config):
    with pytest.raises(ValueError, match="position 'nearest' is not known"):
        CLIPViT(tiny_config(), pretrained=None, position="nearest")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("convnext_base", "use CLIPConv"),
        ("RN50", "use CLIPConv"),
        ("EVA02-E-14", "EVA02-E-14 has the timm trunk Eva, which is no plain"),
        ("ViTamin-S", "ViTamin-S has the timm trunk"),
        ("coca_ViT-B-32", "pools by attention"),
        ("nope", "no CLIP architecture"),
    ],
)
def test_other_trunks(model, says):
    with torch.device("meta"), pytest.raises(ConfigError, match=says):
        CLIPViT(model, pretrained=None)


@pytest.mark.parametrize(
    ("encoder", "model"),
    [
        (CLIPViT, "ViT-B-32"),
        (CLIPViT, "ViT-L-14-336"),
        (CLIPViT, "ViT-H-14"),
        (CLIPViT, "ViT-H-14-CLIPA"),
        (CLIPViT, "ViT-bigG-14"),
        (CLIPViT, "EVA02-B-16"),
        (CLIPViT, "EVA02-L-14-336"),
        (CLIPViT, "ViT-B-16-SigLIP"),
        (CLIPConv, "convnext_base_w"),
        (CLIPConv, "convnext_large_d_320"),
        (CLIPConv, "convnext_xxlarge"),
        (CLIPConv, "RN50x4"),
    ],
)
@pytest.mark.filterwarnings("ignore::ovseg.encoders.base.RandomWeightsWarning")
def test_real_architectures_build(encoder, model):
    with torch.device("meta"):
        built = encoder(model, pretrained=None)
        images = torch.empty(1, 3, 224, 448)
    assert built(images).shape == (1, built.embed_dim)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["vit", "vit-layerscale", "vit-qknorm"])
@pytest.mark.parametrize("wanted", [(-2,), (0,), (-2, 0)])
def test_tokens_of_blocks_are_kept_on_the_way(tiny_clip, kind, wanted):
    encoder, _ = _encoder(tiny_clip, kind)
    images = torch.randn(2, 3, 64, 64)
    blocks, seen = encoder.visual.transformer.resblocks, {}
    handles = [
        blocks[block].ln_2.register_forward_hook(
            lambda m, i, output, block=block: seen.__setitem__(block, output)
        )
        for block in wanted
    ]
    encoder.visual(images)
    for handle in handles:
        handle.remove()
    state = encoder.tokens(images, keep=wanted)
    assert set(state.kept) == set(wanted)
    for block in wanted:
        torch.testing.assert_close(state.kept[block], seen[block], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.tokens, encoder.tokens(images).tokens, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("block", "before"), [(-1, 1), (3, 1), (-5, 1), (2, 2)])
def test_blocks_that_are_not_run_cannot_be_kept(tiny_clip, block, before):
    encoder, _ = _encoder(tiny_clip)
    with pytest.raises(ConfigError, match="cannot be kept"):
        encoder.tokens(torch.randn(1, 3, 64, 64), before=before, keep=(block,))
