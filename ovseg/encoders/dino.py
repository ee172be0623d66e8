"""DINO, DINOv2 and DINOv3: patch tokens, and q, k, v of the last block, at any size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import timm
from torch import Tensor, nn

from ovseg.encoders.base import Encoder
from ovseg.encoders.conv_stem import ConvStem
from ovseg.encoders.dino_architectures import get_dino_architecture
from ovseg.encoders.dino_weights import adapt_state_dict, tag_config
from ovseg.encoders.position import POSITION_MODES, resize_position_embedding
from ovseg.encoders.sources import NANO_TAG, dino_source
from ovseg.encoders.timm_blocks import check_walkable, embed_patches, run_blocks
from ovseg.encoders.weights import (
    apply_state_dict,
    choose_source,
    fetch,
    fingerprint,
    load_state_dict,
)
from ovseg.errors import ConfigError
from ovseg.registry import MODELS

__all__ = ["DINO", "FeatureState", "authors_position"]


@dataclass(frozen=True)
class FeatureState:
    """Patch features of a batch of images; class and register tokens are left out.

    Patches are counted row by row: patch ``n`` lies at row ``n // w``, column ``n % w``. All
    tensors are float32.

    Attributes:
        tokens: (B, N, D) output of the last block after the final norm.
        q: (B, heads, N, d) queries of the last block, not scaled.
        k: (B, heads, N, d) keys of the last block.
        v: (B, heads, N, d) values of the last block.
        grid: (h, w) with ``h * w == N``.
        attention: (B, heads, N) from the class token to the patches in the last block; None for a
            model without class token.

    q and k are as they enter the attention product: after their norms, and with the rotation by
    position where the model is rotary (DINOv3).
    """

    tokens: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    grid: tuple[int, int]
    attention: Tensor | None = None

    def map(self, kind: Literal["tokens", "q", "k", "v"] = "tokens") -> Tensor:
        """Lay features out as an image, heads joined: (B, D, h, w)."""
        if kind not in ("tokens", "q", "k", "v"):
            raise ConfigError(f"Unknown features {kind!r}; choose 'tokens', 'q', 'k' or 'v'.")
        x = getattr(self, kind)
        if kind != "tokens":
            x = x.transpose(1, 2).flatten(2)
        return x.transpose(1, 2).unflatten(-1, self.grid)


def authors_position(model: str, pretrained: str | None) -> str:
    """Name the way a model's authors stretch its table of positions.

    ========================  =====================  ========================================
    model                     interpolation          in
    ========================  =====================  ========================================
    DINO, DINOv2              ``bicubic_offset``     facebookresearch/dino, /dinov2
    DINOv2 with registers     ``bicubic_antialias``  facebookresearch/dinov2, ``*_reg``
    any other timm ViT        ``bicubic_antialias``  timm
    ========================  =====================  ========================================

    DINOv3 has no table, only the rotation.
    """
    if "dinov2" in model:
        return "bicubic_antialias" if "reg" in model else "bicubic_offset"
    # A local file or random weights: the class is about DINO, so it is taken for one.
    return "bicubic_offset" if pretrained in (None, "dino", NANO_TAG) else "bicubic_antialias"


@MODELS.register_module()
class DINO(Encoder):
    """A DINO, DINOv2 or DINOv3 image encoder, of timm.

    Images may have any height and width divisible by the patch.

    Sources: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV
    2021; Oquab et al., "DINOv2", 2023; Darcet et al., "Vision Transformers Need Registers", 2024;
    Simeoni et al., "DINOv3", 2025. ``tokens`` agrees with ``get_intermediate_layers(x)[0]`` of
    the authors' code without the class and register tokens, and with timm's own
    ``forward_features`` at the native size. DINOv3's rotation is timm's, in float32; the authors'
    checkpoints keep its periods in bfloat16, which moves features a little.

    Args:
        model: A ViT of timm, without tag: ``vit_small_patch16_224``, ``vit_base_patch8_224``,
            ``vit_base_patch14_dinov2``, ``vit_base_patch14_reg4_dinov2``,
            ``vit_base_patch16_dinov3``, ...; or a packaged one: ``nano-dino-8``.
        pretrained: timm's tag of known weights (``dino``, ``lvd142m``, ``lvd1689m``), ``ovseg`` for
            those of a packaged model; None means random ones.
        weights: Local file of weights, timm's or the authors' own; wins over ``pretrained``.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        position: How the table of positions is stretched, one of
            :data:`ovseg.encoders.position.POSITION_MODES`; None is the authors' way
            (:func:`authors_position`).
        overrides: Sizes that differ from timm's model, as timm spells them (``embed_dim``,
            ``depth``, ``num_heads``, ``img_size``, ...), for small models of one's own.
        frozen: Whether parameters are fixed.

    Attributes:
        position: The interpolation in use; None if the model has no table.
        embed_dim: Width D.
        num_heads: Attention heads.
        num_prefix_tokens: Class and register tokens.

    Raises:
        ConfigError: timm does not know the model, it is no plain ViT, or ``position`` is given
            for a model without a table.
        WeightsNotFoundError: ``pretrained`` is no known tag, or the file is not to be had.
        CheckpointMismatchError: The weights are of another model.
    """

    def __init__(
        self,
        model: str = "vit_base_patch16_224",
        pretrained: str | None = "dino",
        weights: str | None = None,
        precision: str = "fp32",
        position: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        frozen: bool = True,
    ) -> None:
        super().__init__(precision, frozen)
        overrides = dict(overrides or {})
        architecture = get_dino_architecture(model)
        name = model
        if overrides:
            sizes = ",".join(f"{key}={overrides[key]}" for key in sorted(overrides))
            name = f"{model}[{sizes}]"
        _check_name(architecture.timm_model)
        source = choose_source(model, pretrained, weights, dino_source)
        self._name, self._source = name, source
        self.vit = _build(architecture.timm_model, {**architecture.overrides, **overrides})
        if architecture.stem:
            self.vit.patch_embed.proj = ConvStem(architecture.stem, self.vit.embed_dim)
        self.position = _check_position(self.vit, position, authors_position(model, pretrained))
        if source is None:
            self.warn_random(name)
        else:
            path = fetch(source)
            state = adapt_state_dict(load_state_dict(path), self.vit, str(path))
            apply_state_dict(self.vit, state, name=name, origin=path)
        config = tag_config(model, pretrained)
        if config is not None:  # otherwise ImageNet's, as for every DINO
            self.mean, self.std = tuple(config.mean), tuple(config.std)
        self.patch_size = int(self.vit.patch_embed.patch_size[0])
        self.embed_dim = int(self.vit.embed_dim)
        self.num_heads = int(self.vit.blocks[-1].attn.num_heads)
        self.num_prefix_tokens = int(self.vit.num_prefix_tokens)
        self.finish()

    @property
    def fingerprint(self) -> str:
        """Stable name of architecture and weights."""
        return fingerprint(self._name, self._source)

    @property
    def blocks(self) -> list[nn.Module]:
        """The blocks of the transformer, first to last."""
        return list(self.vit.blocks)

    def features(self, images: Tensor) -> FeatureState:
        """Give the patch features of images.

        Args:
            images: (B, 3, H, W) float, RGB, normalised; H and W divisible by the patch.

        Returns:
            Tokens after the final norm, and q, k, v of the last block.

        Raises:
            ValueError: H or W is not divisible by the patch.
        """
        x = self.door(images)
        self.check_divisible(images, self.patch_size)
        with self.no_grad_if_frozen():
            x, rope, grid = embed_patches(self.vit, x, self._resize)
            x, (q, k, v) = run_blocks(self.vit, x, rope)
            tokens = self.vit.norm(x)
        first = self.num_prefix_tokens
        return FeatureState(
            tokens=self.out(tokens[:, first:]),
            q=self.out(q[:, :, first:]),
            k=self.out(k[:, :, first:]),
            v=self.out(v[:, :, first:]),
            grid=grid,
            attention=self._class_attention(q, k),
        )

    def _class_attention(self, q: Tensor, k: Tensor) -> Tensor | None:
        if self.vit.cls_token is None:
            return None
        scale = self.vit.blocks[-1].attn.scale
        weights = (q[:, :, 0:1].float() @ k.float().transpose(-2, -1) * scale).softmax(-1)
        return weights[:, :, 0, self.num_prefix_tokens :]

    def forward(self, images: Tensor) -> Tensor:
        """Give the normed patch tokens as a map (B, D, h, w); see :meth:`features`."""
        return self.features(images).map("tokens")

    def _resize(self, table: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
        return resize_position_embedding(table, new, self.position, num_prefix=0, native_grid=old)


def _check_name(model: str) -> None:
    if "." in model or not timm.is_model(model):
        raise ConfigError(
            f"timm {timm.__version__} knows no model {model!r}; give its name without a tag, for "
            "example 'vit_base_patch16_224' with pretrained='dino'."
        )


def _build(model: str, overrides: dict[str, Any]) -> nn.Module:
    """Build a ViT of timm, with random weights and without head."""
    options = dict(pretrained=False, num_classes=0, **overrides)
    try:
        vit = timm.create_model(model, dynamic_img_size=True, **options)
    except TypeError as error:
        raise ConfigError(
            f"timm cannot build {model!r} for any image size with {overrides}: {error}; choose a "
            "plain ViT and settings that its class has."
        ) from error
    check_walkable(vit, model)
    return vit


def _check_position(vit: nn.Module, asked: str | None, default: str) -> str | None:
    if vit.pos_embed is None:
        if asked is not None:
            raise ConfigError(
                f"position={asked!r} was given for a model that is rotary and has no table of "
                "positions to interpolate; leave position out."
            )
        return None
    if asked is not None and asked not in POSITION_MODES:
        raise ConfigError(f"Unknown position {asked!r}; choose one of {', '.join(POSITION_MODES)}.")
    return asked or default
