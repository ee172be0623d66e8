from __future__ import annotations

import pytest
import torch
from torch import nn

from ovseg.encoders.base import Encoder


class _Toy(Encoder):
    fingerprint = "toy/random"

    def __init__(self, **options):
        super().__init__(**options)
        self.layer = nn.Sequential(nn.Conv2d(3, 2, 2, 2), nn.Dropout(0.5))
        self.finish()

    def forward(self, images):
        with self.no_grad_if_frozen():
            return self.out(self.layer(self.door(images)))


IMAGES = torch.ones(1, 3, 4, 4)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_precision(precision, dtype):
    toy = _Toy(precision=precision)
    assert toy.dtype == dtype and toy.device == torch.device("cpu")
    assert toy(IMAGES).dtype == torch.float32
    assert toy(IMAGES.double()).dtype == torch.float32


def test_frozen_stays_in_evaluation():
    toy = _Toy()
    nn.ModuleList([toy]).train()
    assert not any(module.training for module in toy.modules())
    assert not any(parameter.requires_grad for parameter in toy.parameters())
    assert not toy(IMAGES.requires_grad_()).requires_grad


def test_not_frozen_trains():
    toy = _Toy(frozen=False)
    assert toy.training
    assert not toy.eval().training and toy.train().training
    assert toy(IMAGES).requires_grad
    with torch.no_grad():
        assert not toy(IMAGES).requires_grad


def test_unknown_precision():
    with pytest.raises(ValueError, match="'int8' is not known: choose one of fp32, bf16, fp16"):
        _Toy(precision="int8")


@pytest.mark.parametrize(
    ("images", "error", "says"),
    [
        (torch.ones(1, 3, 4, 4, dtype=torch.uint8), TypeError, "not torch.uint8"),
        ([1, 2], TypeError, "not list"),
        (torch.ones(3, 4, 4), ValueError, r"not \(3, 4, 4\)"),
        (torch.ones(1, 4, 4, 3), ValueError, r"not \(1, 4, 4, 3\)"),
        (torch.ones(0, 3, 4, 4), ValueError, r"not \(0, 3, 4, 4\)"),
        (torch.ones(1, 3, 4, 4, device="meta"), ValueError, "images are on meta"),
    ],
)
def test_door_refuses(images, error, says):
    with pytest.raises(error, match=says):
        _Toy()(images)


def test_divisible_names_the_way_out():
    with pytest.raises(ValueError, match=r"30 x 16 is not a multiple .* 16 of _Toy: .* 32 x 16"):
        _Toy().check_divisible(torch.ones(1, 3, 30, 16), 16)
