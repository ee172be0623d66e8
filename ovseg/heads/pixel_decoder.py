"""From a backbone's maps to features that masks are drawn with: deformable attention, then an FPN.

The maps at strides 32, 16 and 8 look at one another in deformable attention; the finest of them is
enlarged and added to the backbone's map at stride 4.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.heads.deformable_attention import DeformableAttention
from ovseg.heads.sine_position import sine_position
from ovseg.registry import MODELS

#: Maps that attend to one another, coarse to fine, and the one that is added at the end.
ATTENDED = ("res5", "res4", "res3")
FINEST = "res2"


class MapNorm(nn.GroupNorm):
    """Group norm that takes a map of one position and one channel a group, too (giving the bias).

    `torch.nn.GroupNorm` refuses it, for the smallest of images.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class DeformableEncoderLayer(nn.Module):
    """Deformable attention of all positions, then an MLP; normed after each."""

    def __init__(
        self, dim: int, heads: int, levels: int, points: int, feedforward: int, dropout: float
    ) -> None:
        super().__init__()
        self.attention = DeformableAttention(dim, heads, levels, points)
        self.norm1 = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, feedforward)
        self.linear2 = nn.Linear(feedforward, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        for linear in (self.linear1, self.linear2):
            nn.init.xavier_uniform_(linear.weight)

    def forward(
        self,
        tokens: torch.Tensor,
        position: torch.Tensor,
        centers: torch.Tensor,
        shapes: list[tuple[int, int]],
    ) -> torch.Tensor:
        """(B, N, dim) to the same; see `DeformableAttention.forward`."""
        read = self.attention(tokens + position, centers, tokens, shapes)
        tokens = self.norm1(tokens + self.dropout(read))
        inner = self.dropout(F.relu(self.linear1(tokens)))
        return self.norm2(tokens + self.dropout(self.linear2(inner)))


@MODELS.register_module()
class DeformablePixelDecoder(nn.Module):
    """Pixel decoder of Mask2Former and FC-CLIP (their ``MSDeformAttnPixelDecoder``).

    Runs in float32 whatever the precision around it: sampling places need it.

    Source: Cheng et al., "Masked-attention Mask Transformer", CVPR 2022, section 3.2.

    Args:
        channels: channels of the backbone's ``res2`` to ``res5``; other names are ignored.
        dim: channels inside.
        mask_dim: channels of the mask features.
        layers: layers of deformable attention.
        heads: attention heads.
        points: places a head reads in each map.
        feedforward: width of the MLPs.
        dropout: dropout in the layers.
        groups: groups of the group norms; divides ``dim``.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        dim: int = 256,
        mask_dim: int = 256,
        layers: int = 6,
        heads: int = 8,
        points: int = 4,
        feedforward: int = 1024,
        dropout: float = 0.0,
        groups: int = 32,
    ) -> None:
        super().__init__()
        self.dim, self.mask_dim = dim, mask_dim
        self.project = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Conv2d(channels[name], dim, 1), MapNorm(groups, dim))
                for name in ATTENDED
            }
        )
        self.level = nn.Parameter(torch.randn(len(ATTENDED), dim))
        self.layers = nn.ModuleList(
            DeformableEncoderLayer(dim, heads, len(ATTENDED), points, feedforward, dropout)
            for _ in range(layers)
        )
        self.lateral = nn.Sequential(
            nn.Conv2d(channels[FINEST], dim, 1, bias=False), MapNorm(groups, dim)
        )
        self.smooth = nn.Sequential(
            nn.Conv2d(dim, dim, 3, padding=1, bias=False), MapNorm(groups, dim), nn.ReLU()
        )
        self.mask_features = nn.Conv2d(dim, mask_dim, 1)
        for projection in self.project.values():
            nn.init.xavier_uniform_(projection[0].weight)
            nn.init.zeros_(projection[0].bias)
        for conv in (self.lateral[0], self.smooth[0], self.mask_features):
            nn.init.kaiming_uniform_(conv.weight, a=1)
        nn.init.zeros_(self.mask_features.bias)

    def forward(self, maps: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Decode a backbone's maps.

        Args:
            maps: ``res2`` to ``res5``, each (B, C, h, w), of any sizes.

        Returns:
            Mask features (B, mask_dim, h, w) at the size of ``res2``, and the maps the mask
            transformer attends to: (B, dim, h, w) at the sizes of ``res5``, ``res4``, ``res3``.
        """
        with torch.autocast(maps[FINEST].device.type, enabled=False):
            return self._decode({name: x.float() for name, x in maps.items()})

    def _decode(self, maps: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        projected = [self.project[name](maps[name]) for name in ATTENDED]
        shapes = [tuple(x.shape[-2:]) for x in projected]
        tokens = torch.cat([x.flatten(2) for x in projected], dim=2).mT
        position = torch.cat(
            [
                sine_position(h, w, self.dim, tokens.device).flatten(1).T + level
                for (h, w), level in zip(shapes, self.level, strict=True)
            ]
        )
        centers = torch.cat([_centers(h, w, tokens.device) for h, w in shapes])
        for layer in self.layers:
            tokens = layer(tokens, position, centers, shapes)
        parts = tokens.mT.split([h * w for h, w in shapes], dim=2)
        attended = [x.unflatten(2, shape) for x, shape in zip(parts, shapes, strict=True)]
        finest = self.lateral(maps[FINEST])
        finest = finest + F.interpolate(
            attended[-1], size=finest.shape[-2:], mode="bilinear", align_corners=False
        )
        return self.mask_features(self.smooth(finest)), attended


def _centers(height: int, width: int, device: torch.device) -> torch.Tensor:
    """(height * width, 2): x and y of the middle of each position, from 0 to 1."""
    y = (torch.arange(height, dtype=torch.float32, device=device) + 0.5) / height
    x = (torch.arange(width, dtype=torch.float32, device=device) + 0.5) / width
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((columns, rows), -1).flatten(0, 1)
