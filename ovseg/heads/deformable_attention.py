"""Attention that looks at a few places of each map, and learns which: no compiled kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

#: Memory for the values sampled at one time, in bytes.
SAMPLE_BYTES = 64 * 2**20


def sample_values(
    values: torch.Tensor,
    shapes: Sequence[tuple[int, int]],
    places: torch.Tensor,
    weights: torch.Tensor,
    sample_bytes: int = SAMPLE_BYTES,
) -> torch.Tensor:
    """Weighted sum of values read between the positions of several maps.

    Values outside a map are 0. Queries are gone through in chunks, so that what is sampled stays
    within ``sample_bytes``, however many positions the maps have.

    Args:
        values: (B, N, heads, d), the positions of all maps one after the other.
        shapes: (h, w) of each of the L maps; N is the sum of their areas.
        places: (B, Q, heads, L, points, 2): x and y from 0 to 1 across each map.
        weights: (B, Q, heads, L, points).
        sample_bytes: memory for the values sampled at one time.

    Returns:
        (B, Q, heads * d).

    Raises:
        ValueError: the shapes do not add up to N.
    """
    batch, total, heads, dim = values.shape
    if sum(h * w for h, w in shapes) != total:
        raise ValueError(f"maps of sizes {list(shapes)} do not have {total} positions together")
    queries, points = places.shape[1], places.shape[-2]
    # (B * heads, d, h, w), and points likewise: grid_sample knows no heads.
    planes = [
        part.permute(0, 2, 3, 1).reshape(batch * heads, dim, h, w)
        for part, (h, w) in zip(values.split([h * w for h, w in shapes], 1), shapes, strict=True)
    ]
    grids = (2 * places - 1).permute(3, 0, 2, 1, 4, 5).flatten(1, 2)
    factors = weights.permute(3, 0, 2, 1, 4).flatten(1, 2)
    step = max(1, sample_bytes // (4 * batch * heads * dim * points))
    chunks = []
    for start in range(0, queries, step):
        part = slice(start, start + step)
        summed = None
        for plane, grid, factor in zip(planes, grids, factors, strict=True):
            read = F.grid_sample(plane, grid[:, part], padding_mode="zeros", align_corners=False)
            read = (read * factor[:, None, part]).sum(-1)
            summed = read if summed is None else summed + read
        chunks.append(summed)
    joined = torch.cat(chunks, dim=-1)  # (B * heads, d, Q)
    return joined.unflatten(0, (batch, heads)).flatten(1, 2).transpose(1, 2)


class DeformableAttention(nn.Module):
    """Multi-scale deformable attention: each query reads ``points`` places a head and map.

    Source: Zhu et al., "Deformable DETR", ICLR 2021, equation 3; agrees with the PyTorch reference
    in the code of Deformable DETR, Mask2Former and FC-CLIP.

    Args:
        dim: channels.
        heads: attention heads; divides ``dim``.
        levels: number of maps.
        points: places each head reads in each map.

    Raises:
        ValueError: ``heads`` does not divide ``dim``.
    """

    def __init__(self, dim: int = 256, heads: int = 8, levels: int = 3, points: int = 4) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide {dim} channels")
        self.heads, self.levels, self.points = heads, levels, points
        self.offsets = nn.Linear(dim, heads * levels * points * 2)
        self.weights = nn.Linear(dim, heads * levels * points)
        self.value = nn.Linear(dim, dim)
        self.output = nn.Linear(dim, dim)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """As published: each head looks its own way, its points one step further each."""
        for linear in (self.offsets, self.weights):
            nn.init.zeros_(linear.weight)
        nn.init.zeros_(self.weights.bias)
        angles = torch.arange(self.heads, dtype=torch.float32) * (2 * math.pi / self.heads)
        ways = torch.stack([angles.cos(), angles.sin()], -1)
        ways = ways / ways.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.points + 1, dtype=torch.float32)
        bias = ways[:, None, None] * steps[:, None]  # (heads, 1, points, 2)
        self.offsets.bias.copy_(bias.expand(-1, self.levels, -1, -1).reshape(-1))
        for linear in (self.value, self.output):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self,
        queries: torch.Tensor,
        centers: torch.Tensor,
        values: torch.Tensor,
        shapes: Sequence[tuple[int, int]],
    ) -> torch.Tensor:
        """Read the maps around the place of each query.

        Args:
            queries: (B, Q, dim), with their position embedding.
            centers: (Q, 2): x and y of each query, from 0 to 1.
            values: (B, N, dim): the maps' positions one after the other.
            shapes: (h, w) of each map.

        Returns:
            (B, Q, dim).
        """
        batch, count, _ = queries.shape
        split = (self.heads, self.levels, self.points)
        offsets = self.offsets(queries).unflatten(-1, (*split, 2))
        weights = self.weights(queries).unflatten(-1, (self.heads, -1)).softmax(-1)
        sizes = torch.tensor([(w, h) for h, w in shapes], dtype=offsets.dtype)
        offsets = offsets / sizes.to(offsets.device)[:, None]
        places = centers[None, :, None, None, None] + offsets
        read = sample_values(
            self.value(values).unflatten(-1, (self.heads, -1)),
            shapes,
            places,
            weights.view(batch, count, *split),
        )
        return self.output(read)
