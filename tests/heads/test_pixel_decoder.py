from __future__ import annotations

import pytest
import torch

from ovseg.heads import DeformablePixelDecoder

CHANNELS = {"stem": 4, "res2": 4, "res3": 6, "res4": 8, "res5": 10}


def build(**settings):
    torch.manual_seed(0)
    sizes = {"dim": 32, "mask_dim": 16, "layers": 2, "heads": 4, "feedforward": 16, **settings}
    return DeformablePixelDecoder(CHANNELS, **sizes)


def maps(height, width, batch=1):
    torch.manual_seed(1)
    return {
        name: torch.randn(batch, CHANNELS[name], -(-height // s), -(-width // s))
        for name, s in {"res2": 4, "res3": 8, "res4": 16, "res5": 32}.items()
    }


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (50, 75), (4, 4)])
def test_sizes(size):
    inputs = maps(*size, batch=2)
    features, levels = build()(inputs)
    assert features.shape == (2, 16, *inputs["res2"].shape[-2:])
    assert [x.shape for x in levels] == [
        (2, 32, *inputs[name].shape[-2:]) for name in ("res5", "res4", "res3")
    ]


def test_every_parameter_learns():
    model = build()
    features, levels = model(maps(64, 64))
    (features.square().sum() + sum(x.square().sum() for x in levels)).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_runs_in_float32_whatever_is_around_it():
    model, inputs = build(), maps(64, 64)
    plain, _ = model(inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = model(inputs)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, plain)
