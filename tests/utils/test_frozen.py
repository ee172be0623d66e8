"""What is frozen, and whether it is the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ovseg.errors import CheckpointMismatchError
from ovseg.utils.frozen import (
    check_frozen,
    frozen_fingerprints,
    frozen_prefixes,
    tensor_digest,
    trained_state,
)


class Tower(nn.Linear):
    def __init__(self, fingerprint, trained=False):
        super().__init__(2, 3)
        self.fingerprint = fingerprint
        self.requires_grad_(trained)


def model(fingerprint="a/tag/sha256:0123", trained=False):
    found = nn.Module()
    found.head = nn.Linear(2, 2)
    found.tower = Tower(fingerprint, trained)
    found.tower.part = Tower("inner")
    return found


def test_parts_with_fingerprints_are_left_out():
    assert frozen_prefixes(model()) == ("tower.",)
    assert set(trained_state(model())) == {"head.weight", "head.bias"}
    assert frozen_fingerprints(model()) == {"tower": "a/tag/sha256:0123"}


def test_what_is_trained_is_kept():
    assert frozen_prefixes(model(trained=True)) == ("tower.part.",)
    assert "tower.weight" in trained_state(model(trained=True))
    assert set(trained_state(nn.Linear(2, 2))) == {"weight", "bias"}


@pytest.mark.parametrize(
    "recorded, own, same",
    [
        ("a/tag/sha256:0123", "a/tag/sha256:0123", True),
        ("a/tag/sha256:0123", "b/my-file/sha256:0123456", True),
        ("a/tag/sha256:0123", "a/tag/sha256:0124", False),
        ("a/tag", "a/tag/bf16", True),
        ("a/tag", "a/gat", False),
    ],
)
def test_weights_are_compared(recorded, own, same):
    if same:
        check_frozen(model(own), {"tower": recorded}, "x.pth")
        return
    with pytest.raises(CheckpointMismatchError, match=r"x\.pth was trained on the frozen tower"):
        check_frozen(model(own), {"tower": recorded}, "x.pth")


def test_random_weights_are_named_by_their_digest():
    torch.manual_seed(0)
    one = frozen_fingerprints(model("a/random"))
    torch.manual_seed(0)
    again = model("a/random")
    check_frozen(again, one, "x.pth")
    check_frozen(again, {"tower": "a/random"}, "x.pth")  # weights that were not there to be seen
    with pytest.raises(CheckpointMismatchError, match="set `pretrained` or `weights` of tower"):
        check_frozen(model("a/random"), one, "x.pth")


def test_a_part_that_is_missing():
    with pytest.raises(CheckpointMismatchError, match="frozen eye e/tag, which this Module does"):
        check_frozen(model(), {"eye": "e/tag"}, "x.pth")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_digests_see_every_bit(dtype):
    tensor = torch.zeros(3, 4).to(dtype)
    other = tensor.clone()
    other[2, 3] = 1
    assert tensor_digest(tensor) == tensor_digest(tensor.clone()) != tensor_digest(other)
    assert tensor_digest(torch.zeros((), dtype=dtype))
