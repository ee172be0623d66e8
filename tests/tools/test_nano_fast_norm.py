"""The norm that trains faster gives timm's numbers and gradients."""

from __future__ import annotations

import pytest
import torch
from timm.layers.norm import SimpleNorm2d
from torch import nn

from tests.tools.nano import fast_norm


@pytest.mark.parametrize("offset", [0.0, 30.0], ids=["around zero", "far from zero"])
@pytest.mark.parametrize("channels", [2, 48])
def test_as_timm(channels, offset):
    torch.manual_seed(0)
    theirs, ours = SimpleNorm2d(channels).double(), SimpleNorm2d(channels).double()
    nn.init.normal_(theirs.weight)
    ours.load_state_dict(theirs.state_dict())
    fast_norm.quicken(nn.Sequential(ours))
    assert type(ours) is fast_norm.FastNorm2d
    x = offset + torch.randn(3, channels, 5, 4, dtype=torch.double)
    grad = torch.randn_like(x)
    found = []
    for norm in (theirs, ours):
        given = x.clone().requires_grad_()
        out = norm(given)
        out.backward(grad)
        found.append((out.detach(), given.grad, norm.weight.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-8, atol=1e-9)


def test_half_precision_keeps_float32_inside():
    norm = SimpleNorm2d(8)
    x = (100 + torch.randn(2, 8, 3, 3)).bfloat16()
    expected = norm(x.float())
    fast_norm.quicken(nn.Sequential(norm))
    given = x.clone().requires_grad_()
    out = norm(given)
    torch.testing.assert_close(out.float(), expected, rtol=1e-3, atol=1e-3)
    out.sum().backward()
    assert given.grad.dtype == torch.bfloat16
