"""The last block of a CLIP vision transformer in pieces, for attention rules written outside."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.errors import ConfigError

__all__ = ["QKV", "BlockPieces", "LastBlock"]

#: Queries, keys and values.
QKV = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class BlockPieces(ABC):
    """Pieces of one residual attention block, on the block's own parameters.

    With x the (B, L, D) input of the block, the block itself is::

        q, k, v = block.qkv(block.norm1(x))
        o = scaled_dot_product_attention(q, k, v)
        y = block.residual_mlp(block.residual_attn(x, o))

    and a rule replaces what it wants to. Nothing is copied or patched. Every piece takes and gives
    float32 and computes in the dtype of the weights; gradients flow through to the inputs.

    Attributes:
        num_heads: Heads.
        scale: ``d ** -0.5``, the factor on q k^T, with d the width of a head.
    """

    num_heads: int
    scale: float

    @abstractmethod
    def norm1(self, x: torch.Tensor) -> torch.Tensor:
        """Norm before the attention, (B, L, D) to (B, L, D)."""

    @abstractmethod
    def qkv(self, normed: torch.Tensor) -> QKV:
        """Queries, keys and values, each (B, heads, L, d), of normed tokens (B, L, D).

        As they enter the attention product: queries and keys are rotated where positions are.
        """

    @abstractmethod
    def merge(self, o: torch.Tensor) -> torch.Tensor:
        """Join heads (B, heads, L, d) and project them: (B, L, D)."""

    @abstractmethod
    def attn_branch(self, o: torch.Tensor) -> torch.Tensor:
        """What the attention adds to the stream: :meth:`merge` and the layer scale, (B, L, D)."""

    @abstractmethod
    def norm2(self, x: torch.Tensor) -> torch.Tensor:
        """Norm before the MLP, (B, L, D) to (B, L, D)."""

    @abstractmethod
    def mlp(self, x: torch.Tensor) -> torch.Tensor:
        """What the MLP adds to the stream x: norm, MLP and layer scale, (B, L, D)."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Of the weights."""

    def residual_attn(self, x: torch.Tensor, o: torch.Tensor) -> torch.Tensor:
        """Stream after the attention: x plus :meth:`attn_branch` of o, (B, L, D)."""
        return x + self.attn_branch(o)

    def residual_mlp(self, x: torch.Tensor) -> torch.Tensor:
        """Stream after the MLP: x plus :meth:`mlp` of x, (B, L, D)."""
        return x + self.mlp(x)

    def plain_attention(self, x: torch.Tensor, qkv: QKV | None = None) -> torch.Tensor:
        """Stream after the attention as CLIP runs it, (B, L, D) to (B, L, D).

        Args:
            x: input of the block.
            qkv: what :meth:`qkv` gives for it, where that is known.
        """
        q, k, v = (part.to(self.dtype) for part in qkv or self.qkv(self.norm1(x)))
        return self.residual_attn(x, F.scaled_dot_product_attention(q, k, v))

    def plain(self, x: torch.Tensor) -> torch.Tensor:
        """The block as CLIP runs it, (B, L, D) to (B, L, D)."""
        return self.residual_mlp(self.plain_attention(x))

    def cast(self, x: torch.Tensor) -> torch.Tensor:
        """In the dtype of the weights."""
        return x.to(self.dtype)


class LastBlock(BlockPieces):
    """Pieces of one residual attention block of open_clip.

    Args:
        block: ``ResidualAttentionBlock`` or ``CustomResidualAttentionBlock`` of open_clip.

    Raises:
        ConfigError: The block's attention has no separate q, k and v of this kind.
    """

    def __init__(self, block: nn.Module) -> None:
        attention = getattr(block, "attn", None)
        if getattr(attention, "in_proj_weight", None) is None or (
            getattr(attention, "logit_scale", None) is not None
        ):
            raise ConfigError(
                f"the attention of {type(block).__name__} cannot be taken apart: only scaled "
                "dot-product attention with one q, k, v projection is supported."
            )
        self._block = block
        self._attention = attention
        self.num_heads: int = attention.num_heads
        self.width: int = attention.out_proj.in_features
        self.scale: float = (self.width // self.num_heads) ** -0.5

    def norm1(self, x: torch.Tensor) -> torch.Tensor:
        """Norm before the attention, (B, L, D) to (B, L, D)."""
        return self._block.ln_1(self.cast(x)).float()

    def qkv(self, normed: torch.Tensor) -> QKV:
        """Queries, keys and values, each (B, heads, L, d), of normed tokens (B, L, D)."""
        attention = self._attention
        joint = F.linear(self.cast(normed), attention.in_proj_weight, attention.in_proj_bias)
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in joint.chunk(3, dim=-1)
        )
        if isinstance(getattr(attention, "ln_q", None), nn.Module):
            q, k = attention.ln_q(q), attention.ln_k(k)
        return q.float(), k.float(), v.float()

    def merge(self, o: torch.Tensor) -> torch.Tensor:
        """Join heads (B, heads, L, d) and project them: (B, L, D)."""
        attention = self._attention
        o = self.cast(o)
        if getattr(attention, "head_scale", None) is not None:
            o = o * attention.head_scale
        joined = o.transpose(1, 2).flatten(2)
        if isinstance(getattr(attention, "ln_inner", None), nn.Module):
            joined = attention.ln_inner(joined)
        return attention.out_proj(joined).float()

    def attn_branch(self, o: torch.Tensor) -> torch.Tensor:
        """What the attention adds to the stream: :meth:`merge` and the layer scale, (B, L, D)."""
        merged = self.cast(self.merge(o))
        if isinstance(getattr(self._block, "ln_attn", None), nn.Module):
            merged = self._block.ln_attn(merged)
        return self._block.ls_1(merged).float()

    def norm2(self, x: torch.Tensor) -> torch.Tensor:
        """Norm before the MLP, (B, L, D) to (B, L, D)."""
        return self._block.ln_2(self.cast(x)).float()

    def mlp(self, x: torch.Tensor) -> torch.Tensor:
        """What the MLP adds to the stream x: norm, MLP and layer scale, (B, L, D)."""
        block = self._block
        return block.ls_2(block.mlp(block.ln_2(self.cast(x)))).float()

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self._attention.out_proj.weight.dtype
