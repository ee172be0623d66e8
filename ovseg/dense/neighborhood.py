"""Step 2 with a sense of place: NACLIP's Gaussian neighborhood.

Patches next to each other are likely of one thing, whatever they look like. NACLIP tells the last
block so: to the correlation of keys it adds a Gaussian of the distance between the two patches,
before the softmax.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ovseg.dense.attention import MixingRule
from ovseg.registry import MODELS

#: Entries of the matrix of distances held at a time.
_CHUNK = 2**22


@MODELS.register_module()
class NACLIPAttention(MixingRule):
    """NACLIP's neighborhood attention: softmax(k k^T scale + Gaussian) v, and nothing else.

    Source: Hajimiri et al., Pay Attention to Your Neighbours: Training-Free Open-Vocabulary
    Semantic Segmentation, WACV 2025, with the "reduced" architecture of their code.

    Args:
        std: standard deviation of the Gaussian in patches; its peak is 1.
        residual: keep the block's residual; the authors' "vanilla" architecture keeps both.
        mlp: keep the block's MLP; likewise.

    Raises:
        ValueError: if ``std`` is not positive.
    """

    def __init__(self, std: float = 5.0, residual: bool = False, mlp: bool = False) -> None:
        super().__init__(residual, mlp)
        if not std > 0:
            raise ValueError(f"std must be positive, got {std}")
        self.std = std

    def mix(self, q, k, v, scale, state):
        """Values weighted by keys and place, for a chunk of the tokens at a time."""
        count = k.shape[2]
        step = max(1, _CHUNK // count)
        parts = []
        for start in range(0, count, step):
            rows = slice(start, min(start + step, count))
            near = gaussian_rows(state.grid, state.num_prefix, self.std, rows, k.device)
            # One image at a time: an image's last digits must not depend on its batch.
            parts.append(
                torch.cat(
                    [
                        F.scaled_dot_product_attention(
                            key[:, :, rows], key, value, attn_mask=near, scale=scale
                        )
                        for key, value in zip(k.split(1), v.split(1), strict=True)
                    ]
                )
            )
        return torch.cat(parts, dim=2)


def gaussian_rows(
    grid: tuple[int, int], num_prefix: int, std: float, rows: slice, device=None
) -> torch.Tensor:
    """Rows of the (P + N, P + N) matrix of exp(-d^2 / 2 std^2), d the distance of two patches.

    Args:
        grid: (h, w) patches, N = h w in raster order.
        num_prefix: P tokens in front that have no place; 0 in their rows and columns.
        std: in patches.
        rows: which rows.
        device: where the result is wanted.

    Returns:
        (len(rows), P + N) float32.
    """
    y, x = (
        torch.arange(side, dtype=torch.float32, device=device) - (side - 1) / 2 for side in grid
    )
    place = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flatten(0, 1)
    place = torch.cat([place.new_zeros(num_prefix, 2), place])
    squared = (place[rows, None] - place[None]).square().sum(-1)
    near = torch.exp(squared / (-2 * std**2))
    near[:, :num_prefix] = 0
    near[: max(0, num_prefix - (rows.start or 0))] = 0
    return near
