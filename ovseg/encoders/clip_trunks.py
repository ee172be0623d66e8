"""The two kinds of vision transformer behind a CLIP of open_clip, seen alike.

open_clip has a ``VisionTransformer`` of its own and takes others from timm (EVA, SigLIP). Both
embed patches, run blocks of one shape, norm and project; what they are called differs. A trunk
names the parts of one tower. It holds no weights, copies none and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from timm.layers import AttentionPoolLatent
from torch import nn

from ovseg.encoders.last_block import LastBlock
from ovseg.encoders.timm_blocks import TimmBlock, embed_patches, is_walkable, rotation_of
from ovseg.errors import ConfigError

__all__ = ["OpenClipTrunk", "TimmTrunk", "trunk_of"]

Stretch = Callable[[torch.Tensor, int, tuple[int, int]], torch.Tensor]


class OpenClipTrunk:
    """open_clip's own vision transformer.

    Args:
        visual: The tower.

    Attributes:
        blocks: Its blocks, in order.
        patch_size: Pixels.
        native_grid: Patches (rows, columns) of the position embedding.
        width: Length of a token.
        num_prefix: Tokens before the patches.
    """

    num_prefix = 1

    def __init__(self, visual: VisionTransformer) -> None:
        self._visual = visual
        self.blocks: Sequence[nn.Module] = visual.transformer.resblocks
        self.patch_size: int = visual.patch_size[0]
        self.native_grid: tuple[int, int] = tuple(visual.grid_size)
        self.width: int = visual.conv1.out_channels

    def embed(
        self, images: torch.Tensor, stretch: Stretch
    ) -> tuple[torch.Tensor, tuple[int, int], None]:
        """Tokens that enter the first block (B, P + N, D), their grid, and no rotation.

        Args:
            images: (B, 3, H, W) in the dtype of the weights, sides multiples of the patch size.
            stretch: Maps position embeddings (..., P + n, D), the number P of those in front that
                belong to no patch, and a grid (h, w) to those of this grid.
        """
        visual = self._visual
        patches = visual.conv1(images)
        grid = tuple(patches.shape[-2:])
        start = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        x = torch.cat([start, patches.flatten(2).transpose(1, 2)], dim=1)
        place = stretch(visual.positional_embedding, self.num_prefix, grid)
        return visual.ln_pre(visual.patch_dropout(x + place.to(x.dtype))), grid, None

    def run(self, blocks: Sequence[nn.Module], x: torch.Tensor, rope: None = None) -> torch.Tensor:
        """Run blocks one after the other, (B, L, D) to (B, L, D)."""
        # Older open_clip keeps the sequence first.
        batch_first = getattr(self._visual.transformer, "batch_first", False)
        x = x if batch_first else x.transpose(0, 1)
        for block in blocks:
            x = block(x)
        return x if batch_first else x.transpose(0, 1)

    def pieces(self, block: nn.Module, grid: tuple[int, int] | None = None) -> LastBlock:
        """A block taken apart; it is the same for every grid."""
        return LastBlock(block)

    def project(self, tokens: torch.Tensor) -> torch.Tensor:
        """Final norm and projection of each token by itself, (B, L, D) to (B, L, E)."""
        return self._visual.ln_post(tokens) @ self._visual.proj

    def pooled(self, tokens: torch.Tensor) -> torch.Tensor:
        """Embedding of the images that tokens behind the last block come from: (B, E)."""
        visual = self._visual
        if visual.pool_type == "avg" or visual.final_ln_after_pool:
            return visual._pool(tokens)[0] @ visual.proj
        return self.project(tokens[:, 0])


class TimmTrunk:
    """A plain vision transformer of timm as open_clip adapts it: EVA and EVA02, SigLIP.

    Where the tower pools by attention (SigLIP's map head), a token by itself is projected as the
    head would an image of which it looks at this token only: through the values, as MaskCLIP
    reads the last attention. So the attention rules mean the same there as elsewhere.

    Args:
        visual: open_clip's adapter.
        name: Of the model, for messages.

    Attributes: as in `OpenClipTrunk`.

    Raises:
        ConfigError: The trunk is no plain vision transformer.
    """

    def __init__(self, visual: TimmModel, name: str) -> None:
        vit = visual.trunk
        if not is_walkable(vit):
            raise ConfigError(
                f"{name} has the timm trunk {type(vit).__name__}, which is no plain vision "
                "transformer with its norms in front: choose another CLIP, such as ViT-B-16 or "
                "EVA02-B-16."
            )
        pool = getattr(vit, "attn_pool", None)
        alone = pool is None or (isinstance(pool, AttentionPoolLatent) and pool.latent_len == 1)
        if vit.global_pool not in ("token", "avg", "map") or not alone:
            raise ConfigError(
                f"{name} pools its tokens by {vit.global_pool!r}, which has no dense projection."
            )
        self._visual, self._vit, self._pool = visual, vit, pool
        self.blocks: Sequence[nn.Module] = vit.blocks
        self.patch_size: int = int(vit.patch_embed.patch_size[0])
        self.native_grid: tuple[int, int] = tuple(vit.patch_embed.grid_size)
        self.width: int = int(vit.embed_dim)
        self.num_prefix: int = int(vit.num_prefix_tokens)

    def embed(
        self, images: torch.Tensor, stretch: Stretch
    ) -> tuple[torch.Tensor, tuple[int, int], torch.Tensor | None]:
        """Tokens that enter the first block, their grid, and the rotation of its patches."""

        def resize(table: torch.Tensor, old: tuple, new: tuple) -> torch.Tensor:
            return stretch(table, 0, new)

        x, rope, grid = embed_patches(self._vit, images, resize)
        return x, grid, rope

    def run(
        self, blocks: Sequence[nn.Module], x: torch.Tensor, rope: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Run blocks one after the other, (B, L, D) to (B, L, D)."""
        for block in blocks:
            x = block(x) if rope is None else block(x, rope=rope)
        return x

    def pieces(self, block: nn.Module, grid: tuple[int, int] | None = None) -> TimmBlock:
        """A block taken apart, for tokens of a grid (the native one by default)."""
        return TimmBlock(block, rotation_of(self._vit, grid or self.native_grid))

    def project(self, tokens: torch.Tensor) -> torch.Tensor:
        """Final norms and projection of each token by itself, (B, L, D) to (B, L, E)."""
        vit, x = self._vit, self._vit.norm(tokens)
        if self._pool is not None:
            x = _look_at_each(self._pool, x)
        return self._visual.head(vit.head(vit.fc_norm(x)))

    def pooled(self, tokens: torch.Tensor) -> torch.Tensor:
        """Embedding of the images that tokens behind the last block come from: (B, E)."""
        return self._visual.head(self._vit.forward_head(self._vit.norm(tokens)))


def _look_at_each(pool: AttentionPoolLatent, x: torch.Tensor) -> torch.Tensor:
    """What the pooling gives where its attention is on one token, for each (B, L, D)."""
    values = pool.kv(x).chunk(2, dim=-1)[1]
    x = pool.proj(values)
    return x if pool.mlp is None else x + pool.mlp(pool.norm(x))


def trunk_of(visual: VisionTransformer | TimmModel, name: str) -> OpenClipTrunk | TimmTrunk:
    """The trunk of an image tower.

    Raises:
        ConfigError: It is no plain vision transformer, or one without a dense projection.
    """
    if isinstance(visual, TimmModel):
        return TimmTrunk(visual, name)
    return OpenClipTrunk(visual)
