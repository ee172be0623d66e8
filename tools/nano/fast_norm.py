"""timm's `SimpleNorm2d` for training on a CPU, in a third of the time.

timm asks torch for the variance of each pixel's channels, which torch finds an element at a time.
Its layer norm finds the same moments in one pass of vectors, and the gradient needs no others.
"""

from __future__ import annotations

import math

import torch
from timm.layers.norm import SimpleNorm2d
from torch import nn


def quicken(network: nn.Module) -> None:
    """Let all `SimpleNorm2d` of a network compute as here; weights and their names stay."""
    for module in network.modules():
        if type(module) is SimpleNorm2d:
            module.__class__ = FastNorm2d


class FastNorm2d(SimpleNorm2d):
    """As its parent, up to rounding."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W), fastest where channels come last in memory."""
        x = _Norm.apply(x.permute(0, 2, 3, 1), self.weight, self.eps)
        return x.permute(0, 3, 1, 2)


class _Norm(torch.autograd.Function):
    """``x * r * weight`` with ``r = 1 / sqrt(var(x) + eps)`` over the last axis, unbiased."""

    @staticmethod
    def forward(ctx, x, weight, eps):
        n = x.shape[-1]
        # A layer norm's variance is a sum over n; this one's is a sum over n - 1.
        share = (n - 1) / n
        exact = x.float() if x.dtype.itemsize < 4 else x  # in its precision moments come out
        _, mean, r = torch.native_layer_norm(exact, (n,), None, None, eps * share)
        r = r * math.sqrt(share)
        ctx.save_for_backward(x, weight, mean, r)
        return (x * r).mul_(weight)

    @staticmethod
    def backward(ctx, grad):
        x, weight, mean, r = ctx.saved_tensors
        product = grad * x
        # dr/dx = -r^3 (x - mean) / (n - 1), and each x of a pixel shares its r.
        pull = (product @ weight)[..., None] * r**3 / (x.shape[-1] - 1)
        to_x = (grad * weight).mul_(r).addcmul_(pull, x, value=-1).addcmul_(pull, mean)
        to_weight = r.flatten() @ product.flatten(0, -2)
        return to_x.to(x.dtype), to_weight.to(weight.dtype), None
