from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.encoders.sam import SAM
from ovseg.encoders.sam_build import build_sam, sam_architecture
from ovseg.encoders.sam_size import fit_positions
from ovseg.errors import CheckpointMismatchError, ConfigError

TINY = dict(
    name="tiny", embed_dim=24, depth=2, num_heads=3, global_attn_indexes=(1,), window_size=2,
    image_size=32, patch_size=8, out_chans=16, decoder_heads=2, decoder_mlp_dim=32,
    iou_hidden_dim=16,
)  # fmt: skip
BLOCK = "image_encoder.blocks.1.attn.rel_pos_"  # the other block has windows


def tiny(side: int) -> dict[str, torch.Tensor]:
    """Random weights of a SAM for pictures of a size, with positions that are not zero."""
    model = build_sam(sam_architecture({**TINY, "image_size": side})[1])
    generator = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        if "pos" in name:
            torch.nn.init.normal_(weight, generator=generator)
    return model.state_dict()


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_file({k: v.contiguous() for k, v in tiny(32).items()}, path)
    return str(path)


@pytest.mark.parametrize("side", [16, 48, 64])
def test_positions_alone_are_resized(side):
    state, model = tiny(32), build_sam(sam_architecture({**TINY, "image_size": side})[1])
    found = fit_positions(state, model)
    model.load_state_dict(found)
    changed = {name for name in state if state[name].shape != found[name].shape}
    assert changed == {"image_encoder.pos_embed", f"{BLOCK}h", f"{BLOCK}w"}
    assert all(found[name] is state[name] for name in set(state) - changed)


def test_steps_of_a_small_grid_become_two_of_a_large_one():
    model = build_sam(sam_architecture({**TINY, "image_size": 64})[1])
    ramp = torch.arange(4.0).view(1, 1, 4, 1).expand(1, 4, 4, 24)
    line = torch.arange(-3.0, 4)[:, None].expand(7, 8)
    found = fit_positions({"image_encoder.pos_embed": ramp, f"{BLOCK}h": line}, model)
    torch.testing.assert_close(
        found["image_encoder.pos_embed"][0, 0, 2:-2, 0],
        torch.tensor([0.75, 1.25, 1.75, 2.25]),
        atol=0.1,
        rtol=0,
    )
    longer = found[f"{BLOCK}h"][:, 0]
    assert longer.shape == (15,)
    torch.testing.assert_close(longer, -longer.flip(0))  # as far one way as the other
    assert (longer.diff()[1:-1] > 0).all()


@pytest.mark.parametrize("side", [None, 16, 32, 64])
def test_a_sam_reads_at_the_size_asked_for(weights, side):
    sam = SAM(TINY, weights=weights, image_size=side)
    size = side or 32
    assert sam.image_size == size
    assert sam.input_size((100, 200)) == (size // 2, size)
    state = sam.encode(torch.randn(1, 3, size // 2, size))
    assert state.grid == (size // 8, size // 8)
    boxes = sam.scale_coords(torch.tensor([[20.0, 20, 120, 80]]), (100, 200))
    masks, _ = sam.prompt_masks(state.embedding, boxes=boxes, multimask=False)
    assert masks.shape[-2:] == (size // 2, size // 2)
    own = SAM(TINY, weights=weights)
    assert (sam.fingerprint == own.fingerprint) == (size == 32)


@pytest.mark.parametrize(
    ("side", "words"),
    [
        (60, "image_size 60 is not a multiple of patch_size 8"),
        (0, "image_size 0 does not hold a patch of 8"),
        (-8, "image_size -8 does not hold a patch of 8"),
    ],
)
def test_a_size_that_patches_do_not_fill_is_refused(weights, side, words):
    with pytest.raises(ConfigError, match=words):
        SAM(TINY, weights=weights, image_size=side)


@pytest.mark.parametrize("change", [{"embed_dim": 48}, {"window_size": 4}])
def test_weights_of_another_model_are_refused_at_any_size(tmp_path, change):
    path = tmp_path / "other.safetensors"
    other = build_sam(sam_architecture({**TINY, **change})[1]).state_dict()
    save_file({k: v.contiguous() for k, v in other.items()}, path)
    with pytest.raises(CheckpointMismatchError):
        SAM(TINY, weights=str(path), image_size=64)


def test_random_weights_of_any_size():
    with pytest.warns(RandomWeightsWarning):
        assert SAM(TINY, pretrained=None, image_size=64).image_size == 64
