from __future__ import annotations

import pytest
import torch

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.errors import CheckpointMismatchError, UnsafeCheckpointError, WeightsNotFoundError
from ovseg.heads import DINOiserHead
from ovseg.heads.dinoiser import dinoiser_source

SIZES = {"width": 8, "dim": 4}
STATE = {
    "obj_proj.bias": torch.randn(4),
    "obj_proj.weight": torch.randn(4, 8, 3, 3),
    "bkg_decoder.bias": torch.randn(1),
    "bkg_decoder.weight": torch.randn(1, 8, 1, 1),
}
RELEASED = {"epoch": 99, "model_state_dict": STATE}


def save(tmp_path, state):
    torch.save(state, tmp_path / "last.pt")
    return tmp_path / "last.pt"


@pytest.mark.parametrize(
    "state",
    [
        RELEASED,
        STATE,
        {
            "model_state_dict": {
                **STATE,
                "clip_backbone.x": torch.ones(2),
                "vit_encoder.y": torch.ones(1),
            }
        },
        {"model_state_dict": {k: v.half() for k, v in STATE.items()}},
    ],
    ids=["as released", "bare", "with frozen models", "half precision"],
)
def test_layouts(tmp_path, state):
    head = DINOiserHead(**SIZES, weights=save(tmp_path, state))
    for name, tensor in head.state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, STATE[name], atol=1e-2, rtol=1e-2)
    assert not any(p.requires_grad for p in head.parameters())
    assert head.train().training is False
    assert head.fingerprint.startswith("clip_dinoiser/last/sha256:")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"obj_proj.bias": None}, "1 tensor missing .obj_proj.bias"),
        ({"extra": torch.ones(1)}, "1 tensor unexpected .extra"),
        ({"obj_proj.weight": torch.ones(4, 8, 1, 1)}, "another shape .obj_proj.weight"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, message):
    state = {k: v for k, v in {**STATE, **change}.items() if v is not None}
    with pytest.raises(CheckpointMismatchError, match=message):
        DINOiserHead(**SIZES, weights=save(tmp_path, {"model_state_dict": state}))


def test_missing_unknown_and_unsafe_files(tmp_path):
    with pytest.raises(WeightsNotFoundError, match="nowhere"):
        DINOiserHead(weights=tmp_path / "nowhere.pt")
    with pytest.raises(WeightsNotFoundError, match="authors"):
        dinoiser_source("clip_dinoiser", "someone")
    with pytest.raises(UnsafeCheckpointError):
        DINOiserHead(**SIZES, weights=save(tmp_path, {"model_state_dict": STATE, "code": print}))


def test_random_weights_are_announced():
    with pytest.warns(RandomWeightsWarning, match="convolutions"):
        head = DINOiserHead(**SIZES, pretrained=None)
    assert head.fingerprint == "clip_dinoiser/random"


def test_what_it_computes(tmp_path):
    head = DINOiserHead(**SIZES, weights=save(tmp_path, RELEASED))
    tokens = torch.randn(2, 8, 5, 6)
    features = head.correlation_features(tokens)
    padded = torch.nn.functional.pad(tokens, (1, 1, 1, 1), mode="replicate")
    expected = torch.nn.functional.conv2d(padded, STATE["obj_proj.weight"], STATE["obj_proj.bias"])
    torch.testing.assert_close(features, expected)
    things = head.foreground_logits(tokens)
    assert things.shape == (2, 5, 6)
    torch.testing.assert_close(things, head.foreground_logits(tokens * 7))
    assert torch.isfinite(head.foreground_logits(torch.zeros(1, 8, 2, 2))).all()
