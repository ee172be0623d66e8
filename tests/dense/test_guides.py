from __future__ import annotations

import warnings

import pytest
import torch

from ovseg.dense import (
    CLIPGuide,
    DINOGuide,
    DINOiserGuide,
    Picture,
    SAMGuide,
    SlidingWindows,
    Window,
    WindowBatch,
)
from ovseg.dense.guides.fit import whole_patches
from ovseg.encoders import DINO, SAM, CLIPViT
from ovseg.encoders.base import RandomWeightsWarning
from ovseg.errors import ConfigError
from tests import drawn

SAM_SIZES = {
    "embed_dim": 16,
    "depth": 2,
    "num_heads": 2,
    "global_attn_indexes": (1,),
    "window_size": 2,
    "image_size": 64,
    "patch_size": 8,
    "out_chans": 16,
    "decoder_heads": 2,
}


def build(kind, *args, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        return kind(*args, pretrained=None, **settings)


@pytest.fixture(scope="module")
def clip():
    encoder = build(CLIPViT, drawn.CLIP)
    drawn.draw_weights(encoder.visual, "clip")
    return encoder


def batch_of(height, width, count=2):
    pixels = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    (window,) = SlidingWindows(500, 500)(height, width, 8)  # as CLIP's patches want it
    return WindowBatch([Picture(pixels)] * count, [window] * count)


@pytest.mark.parametrize(
    ("size", "patch", "expected"),
    [
        ((336, 336), 16, (336, 336)),
        ((336, 336), 14, (336, 336)),
        ((448, 224), 14, (448, 224)),
        ((64, 48), 14, (70, 42)),
        ((64, 48), 4, (64, 48)),
        ((8, 8), 14, (14, 14)),
        ((1, 1), 32, (32, 32)),
        ((21, 7), 14, (28, 14)),
    ],
)
def test_sizes_a_guide_can_read(size, patch, expected):
    assert whole_patches(size, patch) == expected


@pytest.mark.parametrize("patch", [4, 8, 14, 16])
@pytest.mark.parametrize("size", [(48, 64), (33, 20), (7, 5), (100, 9)])
def test_dino_of_any_patch_reads_windows_of_any_size(size, patch):
    sizes = {**drawn.DINO, "patch_size": patch, "img_size": 2 * patch}
    encoder = build(DINO, "vit_tiny_patch16_224", overrides=sizes)
    batch = batch_of(*size)
    features = DINOGuide()(batch, encoder)
    rows, columns = (max(1, int(side / patch + 0.5)) for side in batch.padded_size)
    assert features.shape == (2, 24, rows, columns)
    assert torch.isfinite(features).all()


@pytest.mark.parametrize("feature", ["tokens", "q", "k", "v"])
def test_dino_features_are_the_encoders(feature):
    encoder = build(DINO, "vit_tiny_patch16_224", overrides=drawn.DINO)
    batch = batch_of(40, 48)
    found = DINOGuide(feature=feature)(batch, encoder)
    assert torch.equal(found, encoder.features(batch.pixels(encoder)).map(feature))


@pytest.mark.parametrize(
    ("scale", "shown"), [(1.0, (40, 48)), (2, (80, 96)), (0.5, (24, 24)), (0.01, (8, 8))]
)
def test_dino_sees_windows_enlarged(scale, shown):
    encoder = build(DINO, "vit_tiny_patch16_224", overrides={**drawn.DINO, "patch_size": 8})
    batch = batch_of(40, 48)
    found = DINOGuide(scale=scale)(batch, encoder)
    pixels = torch.nn.functional.interpolate(batch.pixels(encoder), shown, mode="bilinear")
    assert torch.equal(found, encoder.features(pixels).map("tokens"))


@pytest.mark.parametrize("scale", [0, -1, float("nan")])
def test_dino_cannot_see_nothing(scale):
    with pytest.raises(ConfigError, match="scale must be positive"):
        DINOGuide(scale=scale)


@pytest.mark.parametrize("model", ["vit_small_patch14_reg4_dinov2", "vit_small_patch16_dinov3"])
def test_later_dinos_are_guides_as_well(model):
    sizes = {"embed_dim": 48, "depth": 2, "num_heads": 2}
    encoder = build(DINO, model, overrides={**sizes, "img_size": encoder_side(model)})
    features = DINOGuide(feature="k")(batch_of(48, 64), encoder)
    assert features.shape[:2] == (2, 48)
    assert torch.isfinite(features).all()


def encoder_side(model):
    return 28 if "patch14" in model else 32


@pytest.mark.parametrize("feature", ["embedding", "q", "k", "v"])
@pytest.mark.parametrize(
    ("size", "grid"), [((48, 48), (8, 8)), ((48, 24), (8, 4)), ((16, 200), (1, 8))]
)
def test_sam_fills_its_input_with_the_window(feature, size, grid):
    encoder = build(SAM, SAM_SIZES)
    features = SAMGuide(feature=feature)(batch_of(*size), encoder)
    assert features.shape == (2, 16, *grid)
    assert torch.equal(features[0], features[1])


def test_sam_with_a_last_block_in_windows_has_only_its_embedding():
    encoder = build(SAM, {**SAM_SIZES, "global_attn_indexes": (0,)})
    assert SAMGuide()(batch_of(48, 48), encoder).shape == (2, 16, 8, 8)
    with pytest.raises(ConfigError, match="embedding"):
        SAMGuide(feature="k")(batch_of(48, 48), encoder)


@pytest.mark.parametrize("feature", ["tokens", "q", "k", "v"])
def test_clip_guides_itself_from_one_reading(clip, feature, monkeypatch):
    batch = batch_of(40, 48)
    state = batch.tokens(clip, (1,))
    monkeypatch.setattr(clip, "tokens", None)  # a second reading would fail
    found = CLIPGuide(feature=feature)(batch, clip)
    assert found.shape == (2, clip.width, 5, 6)
    if feature == "tokens":
        assert torch.equal(found.flatten(2).transpose(1, 2), state.tokens[:, 1:])


def test_another_clip_may_have_other_patches(clip):
    sizes = {**drawn.CLIP["vision_cfg"], "patch_size": 14, "image_size": 28}
    other = build(CLIPViT, {**drawn.CLIP, "vision_cfg": sizes})
    assert CLIPGuide("other")(batch_of(40, 48), other).shape == (2, 32, 3, 3)


@torch.no_grad()
def test_the_dinoiser_guide_convolves_the_tokens_before_the_mlp(clip):
    guide = build(DINOiserGuide, **drawn.HEAD)
    batch = batch_of(40, 48)
    seen = []
    block = clip.visual.transformer.resblocks[-3]
    handle = block.ln_2.register_forward_hook(lambda m, i, output: seen.append(output))
    clip.visual(batch.pixels(clip)[:, :, :32, :32])
    handle.remove()
    small = WindowBatch(batch.pictures, [Window(0, 0, 32, 32)] * 2)
    expected = guide.head.obj_proj(seen[0][:, 1:].transpose(1, 2).unflatten(-1, (4, 4)))
    torch.testing.assert_close(guide(small, clip), expected, rtol=1e-4, atol=1e-5)


def test_blocks_that_were_not_kept_are_read_again(clip):
    batch = batch_of(40, 48)
    assert set(batch.tokens(clip).kept) == set()
    assert set(batch.tokens(clip, (-3,)).kept) == {-3}
    assert batch.tokens(clip) is batch.tokens(clip, (-3,))


@pytest.mark.parametrize("kind", [DINOGuide, SAMGuide, CLIPGuide])
def test_unknown_features_are_refused(kind):
    with pytest.raises(ConfigError, match="choose one of"):
        kind(feature="soul")
