"""The attention of one global SAM block, never held whole.

At 1024 pixels a SAM block compares 4096 tokens with 4096 in 12 to 16 heads: about a gigabyte in
float32. Everything here works on a few rows at a time instead. The numbers are those of
``segment_anything.modeling.image_encoder.Attention``: scaled products of q and k plus the
decomposed relative positions (Li et al., "MViTv2", 2022), softmax over all tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from segment_anything.modeling.image_encoder import Block, get_rel_pos
from torch import Tensor
from torch.nn import functional as F

__all__ = ["GlobalAttention"]

#: Numbers held at once when the caller names no chunk (128 MiB in float32), and rows. Few rows of
#: weights stay in the processor's cache, which halves the time at 4096 tokens; where torch's fused
#: attention makes the weights, only relative positions are held, and more rows are faster.
_MAX_WEIGHTS = 2**25
_MAX_ROWS, _MAX_FUSED_ROWS = 64, 256


@dataclass(frozen=True)
class GlobalAttention:
    """Queries, keys and values of a global block, and the attention they make on demand.

    Tokens are counted row by row over the grid: token ``n`` lies at row ``n // w``, column
    ``n % w``.

    Attributes:
        q: (B, heads, N, d) queries, not scaled.
        k: (B, heads, N, d) keys.
        v: (B, heads, N, d) values.
        grid: (h, w) with ``h * w == N``.
        scale: Factor on the products of q and k.
        rel_h: (h, h, d) relative positions between rows [of the query, of the key], or None.
        rel_w: (w, w, d) the same between columns, or None.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    grid: tuple[int, int]
    scale: float
    rel_h: Tensor | None = None
    rel_w: Tensor | None = None

    @classmethod
    def of_block(cls, block: Block, tokens: Tensor) -> GlobalAttention:
        """Compute q, k and v of a block.

        Args:
            block: A block without windows.
            tokens: (B, h, w, D) input of the block, before its first norm.
        """
        B, h, w, _ = tokens.shape
        layer = block.attn
        qkv = layer.qkv(block.norm1(tokens)).reshape(B, h * w, 3, layer.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        rel_h = rel_w = None
        if layer.use_rel_pos:
            rel_h = get_rel_pos(h, h, layer.rel_pos_h)
            rel_w = get_rel_pos(w, w, layer.rel_pos_w)
        return cls(q, k, v, (h, w), layer.scale, rel_h, rel_w)

    @property
    def num_tokens(self) -> int:
        """Number of tokens N."""
        return self.q.shape[2]

    def rows(self, rows: slice | Tensor) -> Tensor:
        """Give some rows of the attention.

        Args:
            rows: A slice of the N tokens, or their (R,) int64 indices.

        Returns:
            (B, heads, R, N) weights, in q's dtype; each row sums to 1 over the N tokens.
        """
        index = torch.arange(self.num_tokens, device=self.q.device)[rows]
        q = self.q[:, :, index]
        weights = (q * self.scale) @ self.k.transpose(-2, -1)
        if self.rel_h is not None:
            by_row, by_column = self._relative(q, index)
            grid_weights = weights.unflatten(-1, self.grid)  # a view: added to in place
            grid_weights += by_row
            grid_weights += by_column
        return weights.softmax(dim=-1)

    def _relative(self, q: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """What positions add to the products of queries ``index``: they sum to (..., R, h, w)."""
        width = self.grid[1]
        by_row = torch.einsum("bnrd,rkd->bnrk", q, self.rel_h[index // width])
        by_column = torch.einsum("bnrd,rkd->bnrk", q, self.rel_w[index % width])
        return by_row.unsqueeze(-1), by_column.unsqueeze(-2)

    def _fused(self, values: Tensor, index: Tensor) -> Tensor:
        """Average the values of each head for tokens ``index`` by torch's own attention.

        It makes the weights a tile at a time: 0.6 of the time of `rows` on a CPU.
        """
        q, added = self.q[:, :, index], None
        if self.rel_h is not None:
            by_row, by_column = self._relative(q, index)
            added = (by_row + by_column).flatten(-2)
        v = values.to(q.dtype)
        mixed = F.scaled_dot_product_attention(q, self.k, v, attn_mask=added, scale=self.scale)
        return mixed.to(values.dtype)

    def chunks(
        self, rows: Tensor | None = None, chunk: int | None = None, most: int = _MAX_ROWS
    ) -> Iterator[Tensor]:
        """Cut rows into pieces small enough to hold.

        Args:
            rows: (R,) int64 indices of tokens; None means all.
            chunk: Rows at a time; None means ``most``, or fewer where they would hold more than
                2**25 weights.
            most: Rows at a time when ``chunk`` is None.

        Yields:
            Indices of at most ``chunk`` tokens, in the order given.
        """
        if chunk is None:
            B, heads, N, _ = self.q.shape
            chunk = max(1, min(most, _MAX_WEIGHTS // (B * heads * N)))
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1 row, not {chunk}.")
        if rows is None:
            rows = torch.arange(self.num_tokens, device=self.q.device)
        yield from rows.split(chunk)

    def apply(self, values: Tensor, rows: Tensor | None = None, chunk: int | None = None) -> Tensor:
        """Average values by the attention.

        Args:
            values: (B, heads, N, c): each head averages its own values. Or (B, N, C): the mean of
                the heads' attention averages them all.
            rows: (R,) int64 indices of the tokens wanted; None means all.
            chunk: Rows at a time; see :meth:`chunks`.

        Returns:
            (B, heads, R, c) or (B, R, C), in the dtype of ``values``.

        Raises:
            ValueError: The shape of ``values`` fits neither form.
        """
        B, heads, N, _ = self.q.shape
        per_head = values.ndim == 4
        expected = (B, heads, N) if per_head else (B, N)
        if values.ndim not in (3, 4) or tuple(values.shape[:-1]) != expected:
            raise ValueError(
                f"Values of shape {tuple(values.shape)} do not fit SAM's attention: give "
                f"({B}, {heads}, {N}, c), or ({B}, {N}, C) for the mean over heads."
            )
        if per_head:
            pieces = self.chunks(rows, chunk, _MAX_FUSED_ROWS)
            return torch.cat([self._fused(values, index) for index in pieces], dim=-2)
        pieces = self.chunks(rows, chunk)
        shared = (self.rows(index).mean(dim=1).to(values.dtype) for index in pieces)
        return torch.cat([weights @ values for weights in shared], dim=-2)

    def own_output(self, chunk: int | None = None) -> Tensor:
        """Give the block's own attention output with heads joined: (B, h, w, heads * d)."""
        mixed = self.apply(self.v, chunk=chunk)
        return mixed.transpose(1, 2).flatten(-2).unflatten(1, self.grid)
