from __future__ import annotations

import pytest
import torch

from ovseg.dense import FOUNDForeground, Window, WindowBatch
from ovseg.dense.found import background_by_seed, found_source
from ovseg.encoders.base import RandomWeightsWarning
from ovseg.errors import CheckpointMismatchError, WeightsNotFoundError
from tests import drawn
from tests.dense.drawn_models import drawn_segmentor, pictures

WHOLE = Window(0, 0, drawn.SIDE, drawn.SIDE)
DECODER = {"weight": torch.randn(1, 24, 1, 1), "bias": torch.randn(1)}


def save(path, state):
    torch.save(state, path)
    return path


@torch.no_grad()
@pytest.mark.parametrize("nested", [True, False])
def test_the_decoder_is_a_convolution_on_keys(tmp_path, nested):
    path = save(tmp_path / "decoder.pt", {"decoder": DECODER} if nested else DECODER)
    foreground = FOUNDForeground(width=24, weights=path)
    dino = drawn_segmentor("teacher").encoders["dino"]
    batch = WindowBatch(pictures(), [WHOLE, WHOLE])
    keys = dino.features(batch.pixels(dino)).map("k")
    logits = torch.einsum("bchw,c->bhw", keys, DECODER["weight"].flatten()) + DECODER["bias"]
    torch.testing.assert_close(foreground(batch, dino), logits.sigmoid())
    assert "sha256" in foreground.fingerprint


def test_other_files_are_refused(tmp_path):
    path = save(tmp_path / "other.pt", {"decoder": {**DECODER, "scale": torch.ones(1)}})
    with pytest.raises(CheckpointMismatchError, match="1 tensor unexpected"):
        FOUNDForeground(width=24, weights=path)
    with pytest.raises(CheckpointMismatchError, match="another shape"):
        FOUNDForeground(width=384, weights=save(tmp_path / "right.pt", {"decoder": DECODER}))
    with pytest.raises(WeightsNotFoundError, match="authors"):
        found_source("found", "mine")


def test_random_weights_are_announced():
    with pytest.warns(RandomWeightsWarning, match="FOUND"):
        assert "random" in FOUNDForeground(width=24, pretrained=None).fingerprint


def test_everything_alike_is_background():
    flat = background_by_seed(torch.full((1, 2, 9), 1 / 9), torch.ones(1, 2, 9, 4), 0.3)
    assert flat.shape == (1, 9) and flat.dtype == torch.bool
    keys = torch.tensor([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 4).view(1, 1, 9, 2).repeat(1, 2, 1, 1)
    attention = torch.tensor([0.01] * 5 + [0.2] * 4).view(1, 1, 9).repeat(1, 2, 1)
    attention[0, 1, 8] = 0.9
    assert background_by_seed(attention, keys, 0.3).tolist() == [[True] * 5 + [False] * 4]
