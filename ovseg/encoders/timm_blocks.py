"""Walking through a timm ViT with its own layers, so that the last block's q, k and v come out.

timm's models return tokens only. Hooks would reach q, k and v, but leave state behind; calling the
blocks' own layers here computes everything once and changes nothing in the model. Both of timm's
families are understood: ``VisionTransformer`` (DINO, DINOv2, SigLIP) and ``Eva`` (DINOv3 and EVA02,
rotary).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from timm.layers import (
    AttentionRope,
    PatchEmbed,
    RotaryEmbeddingCat,
    apply_rot_embed_cat,
    build_rotary_pos_embed,
)
from timm.models.eva import Eva, EvaAttention, EvaBlock
from timm.models.vision_transformer import Attention, Block, VisionTransformer
from torch import Tensor, nn

from ovseg.encoders.last_block import BlockPieces
from ovseg.errors import ConfigError

__all__ = [
    "TimmBlock",
    "check_walkable",
    "embed_patches",
    "is_walkable",
    "rotation_of",
    "run_blocks",
]


def is_walkable(model: nn.Module) -> bool:
    """Whether ``model`` is a plain pre-norm ViT of timm, whose blocks can be taken apart here."""
    if not isinstance(model, VisionTransformer | Eva):
        return False
    if not isinstance(model.patch_embed, PatchEmbed):  # convolutions in front, as in ViTamin
        return False
    block = model.blocks[-1]
    return isinstance(block, Block | EvaBlock) and isinstance(
        block.attn, Attention | EvaAttention | AttentionRope
    )


def check_walkable(model: nn.Module, name: str) -> None:
    """Refuse a timm model whose last block this module cannot take apart.

    Raises:
        ConfigError: ``model`` is no plain pre-norm ViT of timm.
    """
    if not is_walkable(model):
        raise ConfigError(
            f"timm's {name!r} is not a plain ViT whose q, k and v can be read; choose a DINO such "
            "as 'vit_base_patch16_224', 'vit_base_patch14_dinov2' or 'vit_base_patch16_dinov3'."
        )


def embed_patches(
    vit: VisionTransformer | Eva, images: Tensor, resize: Callable[[Tensor, tuple, tuple], Tensor]
) -> tuple[Tensor, Tensor | None, tuple[int, int]]:
    """Turn images into the tokens that enter the first block.

    Args:
        vit: A timm ViT, for one image size or any.
        images: (B, 3, H, W), H and W divisible by the patch.
        resize: Maps a table of position embeddings (1, h0 * w0, D), its grid (h0, w0) and a new
            grid (h, w) to (1, h * w, D).

    Returns:
        The tokens (B, P + N, D) with P prefix tokens first, the rotary embedding or None, and the
        grid (h, w) with ``h * w == N``.
    """
    # Not `patch_embed` itself, which refuses other sizes than its own.
    patches = vit.patch_embed.proj(images)
    B, _, h, w = patches.shape
    x = vit.patch_embed.norm(patches.flatten(2).transpose(1, 2))
    prefix = [t.expand(B, -1, -1) for t in (vit.cls_token, vit.reg_token) if t is not None]
    if vit.pos_embed is None:
        x = torch.cat([*prefix, x], dim=1)
    else:
        # Some models give prefix tokens entries of the table, others only the patches.
        own = 0 if vit.no_embed_class else vit.num_prefix_tokens
        table = resize(vit.pos_embed[:, own:], tuple(vit.patch_embed.grid_size), (h, w))
        x = x + table.to(x.dtype)
        if own:  # there are prefix tokens
            prefix = [torch.cat(prefix, dim=1) + vit.pos_embed[:, :own]]
        x = torch.cat([*prefix, x], dim=1)
    return vit.norm_pre(x), rotation_of(vit, (h, w)), (h, w)


def rotation_of(vit: VisionTransformer | Eva, grid: tuple[int, int]) -> Tensor | None:
    """The rotary embedding of a grid of patches, or None where positions are not rotated.

    Models for one image size keep theirs as a buffer and give it whatever the grid; for them it is
    computed anew, in float32 whatever the precision of the model.

    Raises:
        ConfigError: The model is for one image size, and rotates in another way than EVA02.
    """
    rope = getattr(vit, "rope", None)
    if rope is None:
        return None
    if getattr(rope, "feat_shape", None) is None:
        return rope.get_embed(shape=grid)
    if type(rope) is not RotaryEmbeddingCat:
        raise ConfigError(
            f"rotary positions of the kind {type(rope).__name__} are not supported at other image "
            "sizes than the model's own."
        )
    # Older timm does not know this setting, and has no model that needs it.
    half = {"rotate_half": True} if getattr(rope, "rotate_half", False) else {}
    parts = build_rotary_pos_embed(
        list(grid),
        dim=rope.dim,
        max_res=rope.max_res,
        temperature=rope.temperature,
        linear_bands=rope.linear_bands,
        in_pixels=rope.in_pixels,
        ref_feat_shape=rope.ref_feat_shape,
        grid_offset=rope.grid_offset,
        grid_indexing=rope.grid_indexing,
        device=vit.patch_embed.proj.weight.device,
        **half,
    )
    return torch.cat(parts, dim=-1)


def run_blocks(
    vit: VisionTransformer | Eva, x: Tensor, rope: Tensor | None
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Run all blocks.

    Args:
        vit: A model that :func:`check_walkable` accepts.
        x: (B, L, D) tokens that enter the first block.
        rope: Rotary embedding, or None.

    Returns:
        The last block's output (B, L, D), before the final norm, and its q, k, v, each
        (B, heads, L, d), as they enter the attention product: after their norms and the rotation.
    """
    last = len(vit.blocks) - 1
    per_block = rope is not None and getattr(vit, "rope_mixed", False)
    for i, block in enumerate(vit.blocks):
        rotation = rope[i] if per_block else rope
        if i == last:
            return _last_block(block, x, rotation)
        x = block(x) if rotation is None else block(x, rope=rotation)
    raise ConfigError("A ViT without blocks has no last block.")


def _last_block(
    block: nn.Module, x: Tensor, rope: Tensor | None
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    layer = block.attn
    y = block.norm1(x)
    q, k, v = _qkv(layer, y, rope)
    mixed = F.scaled_dot_product_attention(q, k, v, scale=layer.scale)
    mixed = layer.norm(mixed.transpose(1, 2).flatten(2))
    gate = getattr(layer, "gate", None)
    if gate is not None:
        mixed = mixed * gate(y).sigmoid()
    x = x + block.drop_path1(_scaled(block, 1, layer.proj_drop(layer.proj(mixed))))
    x = x + block.drop_path2(_scaled(block, 2, block.mlp(block.norm2(x))))
    return x, (q, k, v)


def _scaled(block: nn.Module, branch: int, x: Tensor) -> Tensor:
    """Layer scale of a branch: a module in timm's ViT blocks, a bare tensor or None in Eva's."""
    if isinstance(block, EvaBlock):
        gamma = getattr(block, f"gamma_{branch}")
        return x if gamma is None else gamma * x
    return getattr(block, f"ls{branch}")(x)


def _qkv(layer: nn.Module, y: Tensor, rope: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    if layer.qkv is None:
        q, k, v = layer.q_proj(y), layer.k_proj(y), layer.v_proj(y)
    else:
        q_bias = getattr(layer, "q_bias", None)
        if q_bias is None:
            joined = layer.qkv(y)
        else:
            bias = torch.cat([q_bias, layer.k_bias, layer.v_bias])
            joined = F.linear(y, layer.qkv.weight, bias)
        q, k, v = joined.chunk(3, dim=-1)
    heads = layer.num_heads
    kv_heads = getattr(layer, "num_kv_heads", heads)
    q = layer.q_norm(q.unflatten(-1, (heads, -1)).transpose(1, 2))
    k = layer.k_norm(k.unflatten(-1, (kv_heads, -1)).transpose(1, 2))
    v = v.unflatten(-1, (kv_heads, -1)).transpose(1, 2)
    if rope is not None:
        q, k = _rotate(layer, q, rope).type_as(v), _rotate(layer, k, rope).type_as(v)
    if kv_heads != heads:
        k = k.repeat_interleave(heads // kv_heads, dim=1)
        v = v.repeat_interleave(heads // kv_heads, dim=1)
    return q, k, v


def _rotate(layer: nn.Module, x: Tensor, rope: Tensor) -> Tensor:
    prefix, patches = x[:, :, : layer.num_prefix_tokens], x[:, :, layer.num_prefix_tokens :]
    patches = apply_rot_embed_cat(patches, rope, half=getattr(layer, "rotate_half", False))
    return torch.cat([prefix, patches], dim=2)


class TimmBlock(BlockPieces):
    """Pieces of one pre-norm block of timm, for tokens of one grid where positions are rotated.

    Args:
        block: ``Block`` of timm's ``VisionTransformer``, or ``EvaBlock``.
        rope: Rotary embedding of the patches, or None.

    Raises:
        ConfigError: The block norms behind its branches, or gates its attention.
    """

    def __init__(self, block: nn.Module, rope: Tensor | None = None) -> None:
        if not isinstance(block, Block | EvaBlock) or getattr(block.attn, "gate", None) is not None:
            raise ConfigError(
                f"the attention of {type(block).__name__} cannot be taken apart: only ungated "
                "attention with a norm in front is supported."
            )
        self._block, self._attention, self._rope = block, block.attn, rope
        self.num_heads: int = block.attn.num_heads
        self.scale: float = block.attn.scale

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self._attention.proj.weight.dtype

    def norm1(self, x: Tensor) -> Tensor:
        """Norm before the attention, (B, L, D) to (B, L, D)."""
        return self._block.norm1(self.cast(x)).float()

    def qkv(self, normed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys, rotated, and values, each (B, heads, L, d), of normed tokens."""
        q, k, v = _qkv(self._attention, self.cast(normed), self._rope)
        return q.float(), k.float(), v.float()

    def merge(self, o: Tensor) -> Tensor:
        """Join heads (B, heads, L, d), norm where the model does (sub-LN), project: (B, L, D)."""
        layer = self._attention
        joined = layer.norm(self.cast(o).transpose(1, 2).flatten(2))
        return layer.proj_drop(layer.proj(joined)).float()

    def attn_branch(self, o: Tensor) -> Tensor:
        """What the attention adds to the stream, layer scale included, (B, L, D)."""
        scaled = _scaled(self._block, 1, self.cast(self.merge(o)))
        return self._block.drop_path1(scaled).float()

    def norm2(self, x: Tensor) -> Tensor:
        """Norm before the MLP, (B, L, D) to (B, L, D)."""
        return self._block.norm2(self.cast(x)).float()

    def mlp(self, x: Tensor) -> Tensor:
        """What the MLP adds to the stream x: norm, MLP and layer scale, (B, L, D)."""
        block = self._block
        return block.drop_path2(_scaled(block, 2, block.mlp(block.norm2(self.cast(x))))).float()
