"""Queries that become masks: each layer lets a query look only where its last mask was."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.heads.class_words import ClassWords
from ovseg.heads.in_vocabulary import MLP, InVocabularyClassifier
from ovseg.heads.mask_pooling import resize_masks
from ovseg.heads.sine_position import sine_position
from ovseg.registry import MODELS

#: Maps that layers take turns with, coarse to fine.
LEVELS = 3


class Attention(nn.Module):
    """Multi-head attention that takes one mask for all heads; nothing is repeated for them."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide {dim} channels")
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.output = nn.Linear(dim, dim)
        for linear in (self.qkv, self.output):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        blocked: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(B, Q, dim) from (B, Q, dim), (B, N, dim) twice, and (B, Q, N) bool of barred places."""
        projected = [
            F.linear(x, weight, bias).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for x, weight, bias in zip(
                (queries, keys, values),
                self.qkv.weight.chunk(3),
                self.qkv.bias.chunk(3),
                strict=True,
            )
        ]
        free = None if blocked is None else ~blocked[:, None]
        read = F.scaled_dot_product_attention(*projected, attn_mask=free)
        return self.output(read.transpose(1, 2).flatten(2))


class MaskTransformerLayer(nn.Module):
    """Masked attention to a map, attention among queries, then an MLP; normed after each."""

    def __init__(self, dim: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.cross, self.cross_norm = Attention(dim, heads), nn.LayerNorm(dim)
        self.own, self.own_norm = Attention(dim, heads), nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, feedforward)
        self.linear2 = nn.Linear(feedforward, dim)
        self.norm = nn.LayerNorm(dim)
        for linear in (self.linear1, self.linear2):
            nn.init.xavier_uniform_(linear.weight)

    def forward(
        self,
        queries: torch.Tensor,
        places: torch.Tensor,
        tokens: torch.Tensor,
        position: torch.Tensor,
        blocked: torch.Tensor,
    ) -> torch.Tensor:
        """One step of the queries.

        Args:
            queries: (B, Q, dim).
            places: (Q, dim), the queries' learned position embedding.
            tokens: (B, N, dim) of a map.
            position: (N, dim), its position embedding.
            blocked: (B, Q, N) bool, where a query must not look.
        """
        read = self.cross(queries + places, tokens + position, tokens, blocked)
        queries = self.cross_norm(queries + read)
        placed = queries + places
        queries = self.own_norm(queries + self.own(placed, placed, queries))
        return self.norm(queries + self.linear2(F.relu(self.linear1(queries))))


@MODELS.register_module()
class MaskTransformer(nn.Module):
    """Masked-attention transformer decoder with FC-CLIP's in-vocabulary classifier.

    Source: Cheng et al., "Masked-attention Mask Transformer", CVPR 2022, section 3.2; Yu et al.,
    "Convolutions Die Hard", NeurIPS 2023, section 3.3. Agrees with the latter's
    ``MultiScaleMaskedTransformerDecoder``.

    Args:
        in_dim: channels of the pixel decoder's maps.
        mask_dim: channels of its mask features.
        embed_dim: E, length of a text embedding.
        dim: channels of the queries.
        queries: Q.
        layers: layers; they take turns with the maps at strides 32, 16 and 8.
        heads: attention heads.
        feedforward: width of the MLPs.
    """

    def __init__(
        self,
        in_dim: int,
        mask_dim: int,
        embed_dim: int,
        dim: int = 256,
        queries: int = 250,
        layers: int = 9,
        heads: int = 8,
        feedforward: int = 2048,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.query = nn.Parameter(torch.randn(queries, dim))
        self.place = nn.Parameter(torch.randn(queries, dim))
        self.level = nn.Parameter(torch.randn(LEVELS, dim))
        self.project = nn.ModuleList(
            nn.Identity() if in_dim == dim else nn.Conv2d(in_dim, dim, 1) for _ in range(LEVELS)
        )
        for conv in self.project if in_dim != dim else ():
            nn.init.kaiming_uniform_(conv.weight, a=1)
            nn.init.zeros_(conv.bias)
        self.layers = nn.ModuleList(
            MaskTransformerLayer(dim, heads, feedforward) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.mask_embed = MLP(dim, dim, dim, mask_dim)
        self.classifier = InVocabularyClassifier(dim, embed_dim, mask_dim)

    def forward(
        self,
        maps: Sequence[torch.Tensor],
        mask_features: torch.Tensor,
        words: ClassWords,
        last_only: bool = False,
    ) -> list[dict[str, torch.Tensor]]:
        """Masks and classes after no layer, after the first, and so on.

        Args:
            maps: (B, in_dim, h, w) at strides 32, 16 and 8, in this order.
            mask_features: (B, mask_dim, h, w) at stride 4.
            words: C classes.
            last_only: leave all but the last prediction out.

        Returns:
            ``layers + 1`` predictions (or one), the last one final: ``masks`` (B, Q, h, w) logits
            at the size of the mask features, ``logits`` (B, Q, C + 1) with "no class" last.
        """
        sizes = [tuple(x.shape[-2:]) for x in maps]
        tokens = [
            (project(x).flatten(2) + level[:, None]).mT
            for x, project, level in zip(maps, self.project, self.level, strict=True)
        ]
        positions = [
            sine_position(*size, self.dim, mask_features.device).flatten(1).T for size in sizes
        ]
        queries = self.query.expand(len(mask_features), -1, -1)
        predictions = []
        for step in range(len(self.layers) + 1):
            normed = self.norm(queries)
            masks = torch.einsum("bqc,bchw->bqhw", self.mask_embed(normed), mask_features)
            last = step == len(self.layers)
            if last or not last_only:
                logits = self.classifier(normed, masks, mask_features, words)
                predictions.append({"masks": masks, "logits": logits})
            if not last:
                level = step % LEVELS
                queries = self.layers[step](
                    queries,
                    self.place,
                    tokens[level],
                    positions[level],
                    blocked_places(masks, sizes[level]),
                )
        return predictions


@torch.no_grad()
def blocked_places(masks: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Where queries must not look: outside their masks.

    A query with an empty mask looks everywhere.

    Args:
        masks: (B, Q, h, w) logits.
        size: (h', w') of the map that is looked at.

    Returns:
        (B, Q, h' * w') bool.
    """
    outside = (resize_masks(masks, size) < 0).flatten(2)
    return outside & ~outside.all(-1, keepdim=True)
