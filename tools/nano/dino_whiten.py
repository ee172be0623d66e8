"""Values of a DINO's last block on axes of their own, all of them about equally long.

A small model tells things apart along many directions, but most of what its values vary in is one
or two of them, and cosines see little else. Within each head values can be moved and stretched at
will as long as the layer behind them takes it back: attention averages them with weights that sum
to 1. What the model computes stays what it was; its values become fairer to compare.
"""

from __future__ import annotations

import numpy as np
import torch
from dino_model import states_of

from ovseg.encoders.dino import DINO


@torch.no_grad()
def whiten_values(dino: DINO, images: np.ndarray, floor: float = 0.001, batch: int = 64) -> None:
    """Center and whiten the values of each head of the last block; in place.

    Args:
        dino: whose tokens, queries and keys stay what they are, up to rounding.
        images: (B, H, W, 3) uint8, on whose patches values are to have mean 0 and variance 1.
        floor: added to the variances along the axes of a head, as a share of their mean, so that
            noise is not blown up; what varies less has a variance below 1 afterwards.
        batch: images at a time.
    """
    attention = dino.vit.blocks[-1].attn
    width, size = dino.embed_dim, dino.embed_dim // dino.num_heads
    values = patch_values(dino, images, batch).double()
    weight, bias = attention.qkv.weight, attention.qkv.bias
    behind = attention.proj.weight
    for head, some in enumerate(values.unbind(1)):
        mean = some.mean(0)
        variances, axes = torch.linalg.eigh(torch.cov((some - mean).T))
        lengths = (variances.clamp(min=0) + floor * variances.mean()).sqrt()
        to, back = axes / lengths, axes * lengths  # to.T @ back is the identity
        rows = slice(2 * width + head * size, 2 * width + (head + 1) * size)
        columns = slice(head * size, (head + 1) * size)
        attention.proj.bias += (behind[:, columns].double() @ mean).to(behind.dtype)
        behind[:, columns] = (behind[:, columns].double() @ back).to(behind.dtype)
        weight[rows] = (to.T @ weight[rows].double()).to(weight.dtype)
        bias[rows] = (to.T @ (bias[rows].double() - mean)).to(bias.dtype)


def patch_values(dino: DINO, images: np.ndarray, batch: int = 64) -> torch.Tensor:
    """Values of the last block for every patch of images (B, H, W, 3) uint8: (n, heads, d)."""
    states = states_of(dino, images, batch)
    return torch.cat([state.v.transpose(1, 2).flatten(0, 1).cpu() for state in states])
