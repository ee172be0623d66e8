"""Step 2, read: how the last block of CLIP turns tokens into dense features.

CLIP's last block was trained for its class token alone; what the other tokens attend to there was
never asked for. A rule replaces that attention (and may leave out the block's residual and MLP) and
touches nothing else: no weight, no other block.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.registry import MODELS


class AttentionRule(nn.Module, ABC):
    """What the patch tokens attend to in the last block.

    A rule gives `forward`. It holds no weights and keeps no state.

    Args:
        residual: keep the block's residual connection around its attention.
        mlp: keep the block's MLP (with its own residual).
    """

    #: Whether the rule cannot do without the features of a guide.
    needs_guide = False

    #: Whether the windows of a picture depend on each other: the rule then has a method ``measure``
    #: that gives one number of each window (B,) from the guide's features (B, C, h, w), and
    #: `forward` is also given the mean of these. They need not be read together.
    joint = False

    #: Whether the class token is read by the rule as well.
    reads_class_token = True

    def __init__(self, residual: bool = True, mlp: bool = True) -> None:
        super().__init__()
        self.residual, self.mlp = residual, mlp

    @abstractmethod
    def forward(
        self, block, state, guide: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, tuple[int, int]]:
        """Dense features of the patches.

        Args:
            block: the last block, taken apart (`ovseg.encoders.BlockPieces`).
            state: input of the last block (`ovseg.encoders.TokenState`): ``tokens`` (B, P + N, D),
                their ``grid`` (h, w) and ``num_prefix`` P, the tokens that are not patches and are
                left out of the result.
            guide: (B, C, h', w') features of a guide, for rules that use one.

        Returns:
            (B, N', D) features, before the tower's final norm and projection, and their grid.
        """


class MixingRule(AttentionRule):
    """A rule that goes by CLIP alone: it gives `mix`, the rest is the block's own."""

    @abstractmethod
    def mix(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float, state
    ) -> torch.Tensor:
        """Weighted values for every token.

        Args:
            q: queries (B, heads, P + N, d), the P prefix tokens first.
            k: keys, of the same shape.
            v: values, of the same shape.
            scale: factor on products of q and k.
            state: the tokens they come from, with their ``grid`` and ``num_prefix``.

        Returns:
            (B, heads, P + N, d).
        """

    def forward(self, block, state, guide=None):
        """Dense features; see `AttentionRule.forward`."""
        return self.read(block, state)[:, state.num_prefix :], state.grid

    def read(self, block, state) -> torch.Tensor:
        """What the last block makes of all tokens, the class token's among them: (B, P + N, D)."""
        tokens = state.tokens
        mixed = self.mix(*block.qkv(block.norm1(tokens)), block.scale, state)
        read = block.residual_attn(tokens, mixed) if self.residual else block.attn_branch(mixed)
        return block.residual_mlp(read) if self.mlp else read


@MODELS.register_module()
class PlainAttention(MixingRule):
    """CLIP as it is: every token attends where its query points. The baseline."""

    def mix(self, q, k, v, scale, state):
        """Softmax attention over all tokens, the class token included."""
        # One image at a time: torch's kernels choose their blocking by the size of the batch, and
        # with it the last digits, but an image must not depend on what else is in its batch.
        images = zip(q.split(1), k.split(1), v.split(1), strict=True)
        return torch.cat([F.scaled_dot_product_attention(*qkv, scale=scale) for qkv in images])


@MODELS.register_module()
class MaskCLIPAttention(MixingRule):
    """Each token attends to itself alone: its value is its feature.

    Source: Zhou et al., Extract Free Dense Labels from CLIP, 2022, section 3.2. The authors' code
    keeps the residual and the MLP, so that is the default; later papers that quote MaskCLIP
    without them are the same rule with ``residual=False, mlp=False``.
    """

    def mix(self, q, k, v, scale, state):
        """The values."""
        return v
