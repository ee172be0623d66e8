"""Convolutional CLIP image towers: maps of several scales, and a dense map in text space."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from torch import nn
from torch.nn import functional as F

from ovseg.encoders.base import Encoder
from ovseg.encoders.clip_loading import build_image_tower, resolve
from ovseg.encoders.position import POSITION_MODES, resize_position_embedding
from ovseg.encoders.weights import fingerprint
from ovseg.errors import ConfigError
from ovseg.registry import MODELS

__all__ = ["CLIPConv"]

_SMALLEST = 32


@MODELS.register_module()
class CLIPConv(Encoder):
    """Image tower of a CLIP that is a ConvNeXt (timm) or OpenAI's modified ResNet.

    Any image size from 32 x 32 pixels on; a side that 32 does not divide loses its remainder at
    the coarser scales, as convolutions do.

    Args:
        model: Name of an architecture (``convnext_large_d_320``, ``RN50``, a packaged one), or a
            description, see :func:`ovseg.encoders.clip_architectures.get_architecture`.
        pretrained: Tag of known weights, None for random ones (with a warning).
        weights: A checkpoint on this machine; wins over the tag's file.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        position: How a ResNet's pooling stretches its position embedding to other sizes, see
            :mod:`ovseg.encoders.position`.
        quick_gelu: As for :class:`~ovseg.encoders.clip_vit.CLIPViT`; without effect on these
            towers, which fix their activations.
        frozen: False leaves the parameters trainable.

    Attributes:
        strides: Pixels a step of each map of :meth:`multiscale` stands for.
        channels: Channels of each of them.
        embed_dim: E, length of an embedding shared with text.

    Raises:
        ConfigError: Unknown architecture, or another kind of trunk.
        WeightsError: Weights unknown, missing, unsafe or of another model.
    """

    def __init__(
        self,
        model: str | Mapping = "convnext_large_d_320",
        pretrained: str | None = "laion2b_s29b_b131k_ft_soup",
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
        self.visual: TimmModel | ModifiedResNet = build_image_tower(architecture, source)
        self.position = position
        self.mean, self.std = architecture.mean, architecture.std
        self.embed_dim = architecture.embed_dim
        self.is_resnet = isinstance(self.visual, ModifiedResNet)
        self.strides = {"stem": 4, "res2": 4, "res3": 8, "res4": 16, "res5": 32}
        self.channels = self._channels()
        self._source, self._name = source, architecture.name
        self.finish()

    def _channels(self) -> dict[str, int]:
        visual = self.visual
        if self.is_resnet:
            wide = [layer[-1].conv3.out_channels for layer in self._stages()]
            first = visual.conv3.out_channels
        else:
            wide = [info["num_chs"] for info in visual.trunk.feature_info]
            first = wide[0]
        return dict(zip(self.strides, [first, *wide], strict=True))

    def _stages(self) -> list[nn.Module]:
        visual = self.visual
        if self.is_resnet:
            return [visual.layer1, visual.layer2, visual.layer3, visual.layer4]
        return list(visual.trunk.stages)

    @property
    def fingerprint(self) -> str:
        """Architecture and weights, ``convnext_large_d_320/laion2b_.../sha256:...``."""
        return fingerprint(self._name, self._source)

    def multiscale(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps after the stem and each of the four stages.

        Args:
            images: (B, 3, H, W) float, normalised; H and W at least 32.

        Returns:
            ``stem``, ``res2`` (H / 4), ``res3`` (H / 8), ``res4`` (H / 16) and ``res5`` (H / 32),
            each (B, C, h, w) float32. ``res5`` is what :meth:`embed_map` takes.

        Raises:
            ValueError: A side below 32 pixels.
        """
        images = self.door(images)
        height, width = images.shape[-2:]
        if min(height, width) < _SMALLEST:
            raise ValueError(
                f"image size {height} x {width} is below {_SMALLEST} x {_SMALLEST}, the smallest "
                "this tower reads: pad or resize it."
            )
        with self.no_grad_if_frozen():
            x = self.visual.stem(images) if self.is_resnet else self.visual.trunk.stem(images)
            maps = {"stem": x}
            for name, stage in zip(list(self.strides)[1:], self._stages(), strict=True):
                x = stage(x)
                maps[name] = x
            if not self.is_resnet:
                maps["res5"] = self.visual.trunk.norm_pre(x)
        return {name: self.out(x) for name, x in maps.items()}

    def dense(self, images: torch.Tensor) -> torch.Tensor:
        """Map in the space shared with text: (B, E, h, w) float32, stride 32, not normalised."""
        return self.embed_map(self.multiscale(images)["res5"])

    def embed_map(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the tower's head at each position of a map: (B, D, h, w) to (B, E, h, w)."""
        size = features.shape[-2:]
        return self.embed_pooled(features.flatten(2).transpose(1, 2)).mT.unflatten(-1, size)

    def embed_pooled(self, vectors: torch.Tensor) -> torch.Tensor:
        """Apply the tower's head to vectors pooled from ``res5``, by masks for instance.

        A ConvNeXt's head (norm, projection) takes each vector as it would the mean of an image. A
        ResNet's attention pooling reads one vector as MaskCLIP does, by its value and output
        projections. Gradients flow through to the vectors.

        Args:
            vectors: (B, Q, D) float.

        Returns:
            (B, Q, E) float32, not normalised.
        """
        batch, count, _ = vectors.shape
        x = vectors.to(self.dtype)
        if self.is_resnet:
            pool = self.visual.attnpool
            return self.out(pool.c_proj(pool.v_proj(x)))
        x = self.visual.trunk.head(x.flatten(0, 1)[:, :, None, None])
        return self.out(self.visual.head(x)).unflatten(0, (batch, count))

    def embed_masked(self, features: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Embed what lies under masks, as FC-CLIP does.

        A ConvNeXt takes the mean of the features and applies its head to it. In a ResNet's
        attention pooling the mean of the whole map asks, and the positions of a mask answer.

        Args:
            features: (B, D, h, w), the map ``res5``.
            inside: (B, Q, h, w) bool.

        Returns:
            (B, Q, E) float32, not normalised; of no meaning where a mask holds no position.
        """
        inside = inside.flatten(2)
        if self.is_resnet:
            return self._attention_pool(features.to(self.dtype), inside)
        share = inside.float() / (inside.sum(-1, keepdim=True) + 1e-8)
        return self.embed_pooled(share @ features.float().flatten(2).mT)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embedding of whole images, as open_clip's ``encode_image``: (B, E), not normalised."""
        last = self.multiscale(images)["res5"]
        with self.no_grad_if_frozen():
            if self.is_resnet:
                return self._attention_pool(last.to(self.dtype))
            return self.embed_pooled(last.mean(dim=(2, 3))[:, None])[:, 0]

    def _attention_pool(
        self, features: torch.Tensor, inside: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Attention pooling of a ResNet at any size: the mean asks, all positions answer.

        With ``inside`` (B, Q, N) bool only those of each mask do, and the mean does not: (B, Q, E)
        in place of (B, E).
        """
        pool = self.visual.attnpool
        x = features.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1)
        place = resize_position_embedding(
            pool.positional_embedding, tuple(features.shape[-2:]), self.position
        )
        x = x + place.to(x.dtype)
        asks, answers = x[:, :1], x if inside is None else x[:, 1:]
        q, k, v = (
            project(y).unflatten(-1, (pool.num_heads, -1)).transpose(1, 2)
            for project, y in ((pool.q_proj, asks), (pool.k_proj, answers), (pool.v_proj, answers))
        )
        free = None
        if inside is not None:
            free = (inside | ~inside.any(-1, keepdim=True))[:, None]
            q = q.expand(-1, -1, inside.shape[1], -1)
        pooled = F.scaled_dot_product_attention(q, k, v, attn_mask=free)
        embedded = self.out(pool.c_proj(pooled.transpose(1, 2).flatten(2)))
        return embedded[:, 0] if inside is None else embedded


def _check_trunk(name: str, vision: Mapping) -> None:
    trunk = vision.get("timm_model_name")
    if isinstance(vision.get("layers"), (list, tuple)):
        return
    if trunk is None:
        raise ConfigError(f"{name} is a vision transformer: use CLIPViT.")
    if "convnext" not in trunk:
        raise ConfigError(
            f"{name} has the timm trunk {trunk!r}; CLIPConv reads ConvNeXt and CLIP's ResNets only."
        )
