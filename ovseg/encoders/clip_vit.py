"""CLIP vision transformers: tokens of any image size, and the last block in reach."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from ovseg.encoders.base import Encoder
from ovseg.encoders.clip_loading import build_image_tower, resolve
from ovseg.encoders.clip_trunks import trunk_of
from ovseg.encoders.last_block import QKV, BlockPieces
from ovseg.encoders.position import POSITION_MODES, resize_position_embedding
from ovseg.encoders.weights import WeightSource, fingerprint
from ovseg.errors import ConfigError
from ovseg.registry import MODELS

__all__ = ["CLIPViT", "TokenState"]


@dataclasses.dataclass(frozen=True)
class TokenState:
    """Tokens on their way through a vision transformer.

    Attributes:
        tokens: (B, P + h * w, D) float32; prefix tokens (class token) first, then raster order.
        grid: (h, w) patches.
        num_prefix: P.
        kept: for the blocks asked for (B, P + h * w, D) float32: the stream between their
            attention and their MLP, as the MLP sees it, which is normed.
        qkv: for the blocks asked for, counted from the end (1 is the last), their queries, keys
            and values, each (B, heads, P + h * w, d) float32.
    """

    tokens: torch.Tensor
    grid: tuple[int, int]
    num_prefix: int
    kept: Mapping[int, torch.Tensor] = dataclasses.field(default_factory=dict)
    qkv: Mapping[int, QKV] = dataclasses.field(default_factory=dict)


@MODELS.register_module()
class CLIPViT(Encoder):
    """Image tower of a CLIP that is a vision transformer: open_clip's own, EVA, EVA02, SigLIP.

    Args:
        model: Name of an architecture (``ViT-B-16``, ``ViT-L-14``, ``ViT-H-14``, ``EVA02-B-16``,
            ``EVA02-L-14-336``, a packaged one), or a description, see
            :func:`ovseg.encoders.clip_architectures.get_architecture`.
        pretrained: Tag of known weights (``openai``, ``laion2b_s34b_b88k``, ... , ``ovseg`` for
            packaged ones), downloaded on first use; None for random weights, with a warning. The
            tag also decides activation (QuickGELU or GELU) and normalisation, also when
            ``weights`` names the file.
        weights: A checkpoint on this machine (safetensors, PyTorch, OpenAI's archives; a whole
            CLIP or its image tower); wins over the tag's file.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        position: How the position embedding is stretched to other sizes, see
            :mod:`ovseg.encoders.position`. open_clip: ``bicubic_antialias``; SCLIP, ProxyCLIP,
            NACLIP and Trident: ``bicubic_offset``; CLIPSelf: ``bicubic``.
        quick_gelu: Decide the activation here, for files of an unknown kind.
        frozen: False leaves the parameters trainable.

    Attributes:
        patch_size: Pixels.
        width: D, length of a token.
        num_heads: Heads of each block.
        embed_dim: E, length of an embedding shared with text.
        num_prefix_tokens: 1, the class token; 0 for SigLIP.
        visual: The tower of open_clip.

    Raises:
        ConfigError: Unknown architecture, or one that is no plain vision transformer (ConvNeXts,
            ResNets, ViTamin, EVA02-E with its norms behind) or has no dense projection (CoCa).
        WeightsError: Weights unknown, missing, unsafe or of another model.
        ValueError: Unknown ``precision`` or ``position``.
    """

    def __init__(
        self,
        model: str | Mapping = "ViT-B-16",
        pretrained: str | None = "openai",
        weights: str | Path | None = None,
        precision: str = "fp32",
        position: str = "bicubic_antialias",
        quick_gelu: bool | None = None,
        frozen: bool = True,
    ) -> None:
        super().__init__(precision, frozen)
        if position not in POSITION_MODES:
            raise ValueError(
                f"position {position!r} is not known: choose one of {', '.join(POSITION_MODES)}."
            )
        architecture, source = resolve(model, pretrained, weights, quick_gelu)
        _check_trunk(architecture.name, architecture.vision)
        if source is None:
            self.warn_random(architecture.name)
        self.visual: nn.Module = build_image_tower(architecture, source)
        self._trunk = trunk_of(self.visual, architecture.name)
        self.position = position
        self.mean, self.std = architecture.mean, architecture.std
        self.embed_dim = architecture.embed_dim
        self.patch_size = self._trunk.patch_size
        self.native_grid = self._trunk.native_grid
        self.width = self._trunk.width
        self.num_prefix_tokens = self._trunk.num_prefix
        self.num_heads = self.last_block.num_heads
        self._source, self._name = source, architecture.name
        self.finish()

    @property
    def fingerprint(self) -> str:
        """Architecture and weights, ``ViT-B-16/openai/sha256:...``."""
        return fingerprint(self._name, self._source)

    @property
    def source(self) -> WeightSource | None:
        """Where the weights came from; None for random ones."""
        return self._source

    @property
    def last_block(self) -> BlockPieces:
        """Pieces of the last block; input is the tokens of :meth:`tokens`."""
        return self.block(1)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The blocks themselves, in order."""
        return self._trunk.blocks

    def block(self, from_end: int = 1, grid: tuple[int, int] | None = None) -> BlockPieces:
        """Pieces of the last block (1), the one before it (2), and so on.

        Args:
            from_end: Which block.
            grid: (h, w) of the tokens that will be given to it, which rotary positions (EVA02)
                depend on; by default that of the size the model was trained at.

        Raises:
            ValueError: There is no such block.
        """
        if not 1 <= from_end <= len(self.blocks):
            raise ValueError(f"block {from_end} from the end of {len(self.blocks)} does not exist.")
        return self._trunk.pieces(self.blocks[-from_end], grid)

    def tokens(
        self,
        images: torch.Tensor,
        before: int = 1,
        keep: Sequence[int] = (),
        qkv: Sequence[int] = (),
    ) -> TokenState:
        """Run everything up to the input of the last block.

        Args:
            images: (B, 3, H, W) float, normalised; H and W multiples of the patch size.
            before: Stop before this block, counted from the end as in :meth:`block`.
            keep: Blocks whose tokens are kept on the way, counted from 0, or from the end with -1
                for the last block (which is not run, and so cannot be kept).
            qkv: Blocks whose queries, keys and values are kept, counted from the end as in
                :meth:`block`; none behind ``before``, which itself may be one, though not run.

        Raises:
            ValueError: A size the patch size does not divide, no such block to stop before, or
                queries, keys and values asked of a block behind it.
            ConfigError: A block to keep is none of those that are run.
        """
        self.block(before)
        if qkv and not before <= min(qkv) <= max(qkv) <= len(self.blocks):
            raise ValueError(
                f"q, k and v of blocks {sorted(qkv)} from the end: only {before} to "
                f"{len(self.blocks)} are reached."
            )
        images = self.door(images)
        self.check_divisible(images, self.patch_size)
        trunk, blocks = self._trunk, self.blocks
        with self.no_grad_if_frozen():
            x, grid, rope = trunk.embed(images, self._stretch)
            kept: dict[int, torch.Tensor] = {}
            stop = len(blocks) - before
            numbers = {block: self._block_number(block, stop) for block in keep}
            parts: dict[int, QKV] = {}
            split = {len(blocks) - block: block for block in qkv}
            start = 0
            for number in sorted({*numbers.values(), *split}):
                x = trunk.run(blocks[start:number], x, rope)
                start = number
                pieces = trunk.pieces(blocks[number], grid)
                own = pieces.qkv(pieces.norm1(x))
                if number in split:
                    parts[split[number]] = own
                if number == stop:
                    break
                between = pieces.plain_attention(x, own)
                normed = pieces.norm2(between)
                kept.update((block, normed) for block, at in numbers.items() if at == number)
                x = pieces.residual_mlp(between).to(x.dtype)
                start = number + 1
            x = trunk.run(blocks[start:stop], x, rope)
        return TokenState(self.out(x), grid, self.num_prefix_tokens, kept, parts)

    def _stretch(self, table: torch.Tensor, num_prefix: int, grid: tuple[int, int]) -> torch.Tensor:
        return resize_position_embedding(table, grid, self.position, num_prefix, self.native_grid)

    def _block_number(self, block: int, stop: int) -> int:
        count = len(self.blocks)
        number = block + count if block < 0 else block
        if not 0 <= number < stop:
            raise ConfigError(
                f"block {block} of {self._name} cannot be kept: of its {count} blocks only 0 to "
                f"{stop - 1} (or {-count} to {stop - 1 - count}) are run here."
            )
        return number

    def project(self, tokens: torch.Tensor) -> torch.Tensor:
        """Take tokens behind the last block into the space shared with text.

        Final norm and projection, for each token by itself: (B, L, D) to (B, L, E) float32, not
        normalised. Gradients flow through to the tokens.
        """
        return self.out(self._trunk.project(tokens.to(self.dtype)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embedding of whole images, as open_clip's ``encode_image``: (B, E), not normalised."""
        state = self.tokens(images)
        with self.no_grad_if_frozen():
            tokens = self.block(1, state.grid).plain(state.tokens)
            return self.out(self._trunk.pooled(tokens.to(self.dtype)))


def _check_trunk(name: str, vision: Mapping) -> None:
    """Refuse before anything is built what is known to be no vision transformer."""
    if "convnext" in (vision.get("timm_model_name") or ""):
        raise ConfigError(f"{name} has a ConvNeXt of timm as its trunk: use CLIPConv.")
    if isinstance(vision.get("layers"), (list, tuple)):
        raise ConfigError(f"{name} is a ResNet, not a vision transformer: use CLIPConv.")
    if vision.get("attentional_pool"):
        raise ConfigError(f"{name} pools by attention (CoCa), which has no dense projection.")
