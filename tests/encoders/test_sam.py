from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from segment_anything import SamPredictor

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.encoders.sam import SAM
from ovseg.errors import CheckpointMismatchError, ConfigError, WeightsNotFoundError
from ovseg.registry import MODELS

TINY = dict(
    name="tiny", embed_dim=48, depth=4, num_heads=3, global_attn_indexes=(1, 3), window_size=3,
    image_size=64, patch_size=8, out_chans=32, decoder_heads=4, decoder_mlp_dim=64,
    iou_hidden_dim=32,
)  # fmt: skip


@pytest.fixture
def build(widen):
    def make(precision: str = "fp32", frozen: bool = True, **changes) -> SAM:
        with pytest.warns(RandomWeightsWarning):
            sam = SAM({**TINY, **changes}, pretrained=None, precision=precision, frozen=frozen)
        return widen(sam, std=0.25)

    return make


@pytest.mark.parametrize("size", [(64, 64), (48, 64), (64, 33), (5, 64), (1, 1), (40, 24)])
def test_embedding_is_segment_anythings(build, size):
    """Padded as Sam.preprocess does, from which images are taken before normalisation."""
    sam = build()
    pixels = torch.randint(0, 256, (2, 3, *size)).float()
    mean, std = torch.tensor(sam.mean), torch.tensor(sam.std)
    images = (pixels / 255 - mean[:, None, None]) / std[:, None, None]
    state = sam.encode(images)
    with torch.no_grad():
        expected = sam.sam.image_encoder(torch.stack([sam.sam.preprocess(x) for x in pixels]))
    torch.testing.assert_close(state.embedding, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(sam(images), state.embedding)
    assert state.grid == (8, 8)
    assert state.input_size == size
    assert state.valid_grid == (max(1, size[0] // 8), max(1, size[1] // 8))
    assert not state.embedding.requires_grad


def test_valid_index_names_the_patches_of_the_image(build):
    state = build().encode(torch.randn(1, 3, 20, 32))
    assert state.valid_index.tolist() == [0, 1, 2, 3, 8, 9, 10, 11]


def test_state_rebuilds_the_last_block(build):
    """Attention x values, projected, residual and MLP, equals the module's own last block."""
    sam = build()
    state = sam.encode(torch.randn(2, 3, 64, 40))
    block = sam.sam.image_encoder.blocks[-1]
    with torch.no_grad():
        mixed = sam.apply_last_attention(state, sam.values(state), chunk=10)
        x = state.tokens + block.attn.proj(mixed.transpose(1, 2).flatten(2))
        x = x + block.mlp(block.norm2(x))
        expected = block(state.tokens.unflatten(1, state.grid)).flatten(1, 2)
    torch.testing.assert_close(x, expected, rtol=1e-5, atol=1e-5)


def exact_rows(attention):
    """The attention of float32 queries, keys and positions, computed in float64."""
    parts = {name: getattr(attention, name).double() for name in ("q", "k", "v", "rel_h", "rel_w")}
    return replace(attention, **parts).rows(slice(None))


@pytest.mark.parametrize("chunk", [1, 7, 64, None])
def test_attention_in_chunks_is_the_whole(build, chunk):
    sam = build()
    state = sam.encode(torch.randn(2, 3, 64, 64))
    whole = sam.attention_rows(state, slice(None))
    assert whole.shape == (2, 3, 64, 64)
    assert whole.amax(-1).mean() > 5 / 64
    torch.testing.assert_close(whole.sum(-1), torch.ones(2, 3, 64))
    values = torch.randn(2, 64, 5)
    got = sam.apply_last_attention(state, values, chunk=chunk)
    torch.testing.assert_close(got, whole.mean(1) @ values, rtol=1e-6, atol=2e-6)
    values = torch.randn(2, 3, 64, 5)
    got = sam.apply_last_attention(state, values, chunk=chunk)
    # Another order of summation than `whole @ values` has: both are held to the exact product.
    exact = exact_rows(state.attention) @ values.double()
    torch.testing.assert_close(got.double(), exact, rtol=1e-6, atol=2e-6)


def test_attention_between_the_images_patches(build):
    """Rows and columns without padding, as Trident cuts them: after the softmax."""
    sam = build()
    state = sam.encode(torch.randn(1, 3, 20, 32))
    inside = state.valid_index
    part = sam.attention_rows(state, inside[2:5], columns=inside)
    whole = sam.attention_rows(state, slice(None))
    torch.testing.assert_close(part, whole[:, :, inside[2:5]][..., inside])
    assert (part.sum(-1) < 1).all()


def test_attention_in_windows_is_refused(build):
    sam = build(global_attn_indexes=(1,))
    state = sam.encode(torch.randn(1, 3, 64, 64))
    calls = [
        lambda: sam.values(state),
        lambda: sam.attention_rows(state, slice(2)),
        lambda: sam.apply_last_attention(state, torch.zeros(1, 64, 2)),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match="block 3"):
            call()


def test_a_batch_gives_what_its_images_give(build):
    sam = build()
    images = torch.randn(3, 3, 48, 56)
    together = sam.encode(images)
    for i in range(3):
        alone = sam.encode(images[i : i + 1])
        torch.testing.assert_close(together.embedding[i], alone.embedding[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(65, 10), (10, 65), (200, 200)])
def test_images_larger_than_the_input_are_refused(build, size):
    with pytest.raises(ValueError, match=f"{size[0]} x {size[1]}"):
        build().encode(torch.zeros(1, 3, *size))


def prompts(count: int) -> dict:
    corner = torch.rand(count, 2) * 20
    return {
        "points": (torch.rand(count, 3, 2) * 40, torch.randint(-1, 2, (count, 3))),
        "boxes": torch.cat([corner, corner + 15], dim=1),
        "masks": torch.randn(count, 1, 32, 32),
    }


@pytest.mark.parametrize(
    "kinds",
    [("points",), ("boxes",), ("masks",), ("points", "boxes"), ("points", "boxes", "masks")],
    ids="+".join,
)
@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("chunk", [2, 16])
def test_masks_are_the_predictors(build, kinds, multimask, chunk):
    sam = build()
    predictor = SamPredictor(sam.sam)
    image = np.random.default_rng(0).integers(0, 256, (45, 60, 3), dtype=np.uint8)
    predictor.set_image(image)
    given = {k: v for k, v in prompts(5).items() if k in kinds}
    points = given.get("points", (None, None))
    full, quality, low = predictor.predict_torch(
        points[0], points[1], given.get("boxes"), given.get("masks"), multimask, return_logits=True
    )
    ours, ours_quality = sam.prompt_masks(
        predictor.features, **given, multimask=multimask, chunk=chunk
    )
    torch.testing.assert_close(ours, low, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(ours_quality, quality, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(sam.upscale(ours, (45, 60), predictor.input_size), full)
    assert ours.std() > 1e-3


def test_one_mask_prompt_serves_all_boxes(build):
    sam = build()
    state = sam.encode(torch.randn(1, 3, 64, 64))
    given = prompts(5)
    one = given["masks"][:1]
    shared, _ = sam.prompt_masks(state, boxes=given["boxes"], masks=one, chunk=2)
    each, _ = sam.prompt_masks(state, boxes=given["boxes"], masks=one.expand(5, -1, -1, -1))
    torch.testing.assert_close(shared, each, rtol=1e-5, atol=1e-4)


def test_no_prompts_give_no_masks(build):
    sam = build()
    state = sam.encode(torch.randn(1, 3, 64, 64))
    masks, quality = sam.prompt_masks(state, boxes=torch.zeros(0, 4))
    assert masks.shape == (0, 3, 32, 32)
    assert quality.shape == (0, 3)


def test_prompts_of_several_images_at_once_are_refused(build):
    sam = build()
    state = sam.encode(torch.randn(2, 3, 64, 64))
    with pytest.raises(ValueError, match="one image"):
        sam.prompt_masks(state, boxes=torch.zeros(1, 4))
    each = sam.prompt_masks(state.embedding[1], boxes=torch.tensor([[0.0, 0, 20, 20]]))
    assert each[0].shape == (1, 3, 32, 32)


def test_from_an_image_to_a_mask_of_its_size(build):
    """The whole path, with coordinates of the image: as SamPredictor.predict."""
    sam = build()
    predictor = SamPredictor(sam.sam)
    image = np.random.default_rng(1).integers(0, 256, (32, 68, 3), dtype=np.uint8)
    predictor.set_image(image)
    box = np.array([10.0, 4, 50, 25])
    expected, _, _ = predictor.predict(box=box, return_logits=True)

    resized = Image.fromarray(image).resize(sam.input_size((32, 68))[::-1], Image.BILINEAR)
    pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(x)[:, None, None] for x in (sam.mean, sam.std))
    state = sam.encode((pixels - mean) / std)
    boxes = sam.scale_coords(torch.from_numpy(box)[None], (32, 68))
    low, _ = sam.prompt_masks(state, boxes=boxes)
    masks = sam.upscale(low, (32, 68), state.input_size)[0]
    torch.testing.assert_close(masks, torch.from_numpy(expected), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.08), ("fp16", 0.01)])
def test_lower_precision_is_close(build, precision, tolerance):
    images = torch.randn(1, 3, 64, 48)
    exact, low = build(), build(precision=precision)
    # The prompt encoder's random frequencies are a buffer, drawn anew for each model.
    low.sam.prompt_encoder.load_state_dict(exact.sam.prompt_encoder.state_dict())
    a, b = exact.encode(images), low.encode(images)
    rows = exact.attention_rows(a, slice(9)), low.attention_rows(b, slice(9))
    box = torch.tensor([[0.0, 0, 40, 40]])
    masks = exact.prompt_masks(a, boxes=box)[0], low.prompt_masks(b, boxes=box)[0]
    pairs = [(a.embedding, b.embedding), (exact.values(a), low.values(b)), rows, masks]
    for one, other in pairs:
        assert other.dtype == torch.float32
        assert (one - other).norm() / one.norm() < tolerance
    assert low.sam.mask_decoder.iou_token.weight.dtype == torch.float32


@pytest.mark.parametrize("extra", [{}, {"pixel_mean": torch.zeros(3, 1, 1)}])
def test_checkpoints_in_the_authors_layout_load(build, tmp_path, extra):
    sam = build()
    torch.save({**sam.sam.state_dict(), **extra}, tmp_path / "sam.pth")
    loaded = SAM(TINY, weights=str(tmp_path / "sam.pth"))
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(loaded.encode(images).embedding, sam.encode(images).embedding)
    assert "random" not in loaded.fingerprint
    with pytest.raises(CheckpointMismatchError):
        SAM({**TINY, "embed_dim": 96}, weights=str(tmp_path / "sam.pth"))


def test_own_sizes_have_no_published_weights():
    with pytest.raises(WeightsNotFoundError, match="tiny"):
        SAM(TINY)


def test_unfrozen_learns_in_all_its_parts(build):
    """From masks back to the patch embedding, through attention taken row by row."""
    sam = build(frozen=False)
    assert sam.train().training
    state = sam.encode(torch.randn(1, 3, 64, 64))
    given = prompts(2)
    masks, quality = sam.prompt_masks(state, **given)
    (masks.square().mean() + quality.square().mean()).backward()
    learnt = {name for name, p in sam.sam.named_parameters() if p.grad is not None}
    assert {
        "image_encoder.patch_embed.proj.weight",
        "image_encoder.blocks.3.attn.rel_pos_h",
        "image_encoder.blocks.1.attn.qkv.weight",
        "prompt_encoder.mask_downscaling.0.weight",
        "mask_decoder.output_upscaling.0.weight",
    } <= learnt


def test_is_registered():
    assert MODELS.module_dict["SAM"] is SAM
