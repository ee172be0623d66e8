"""CLIP-DINOiser's training: two convolutions learn from DINO and FOUND, out of CLIP's tokens.

No label is read. DINO says which patches of an image belong together, FOUND which show a thing;
both are binary, and each convolution is taught one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn import functional as F

from ovseg.dense import Picture, WholeImage, WindowBatch
from ovseg.dense.guides.dinoiser import patches_of_block
from ovseg.errors import ConfigError
from ovseg.heads import DINOiserHead
from ovseg.registry import MODELS


@MODELS.register_module()
class DINOiserDistiller(BaseModel):
    """Trains a `ovseg.heads.DINOiserHead`; everything else is frozen.

    Source: Wysoczanska et al., "CLIP-DINOiser", ECCV 2024, sections 3.3 and 3.4; losses, targets
    and steps agree with the authors' code (wysoczanska/clip_dinoiser, ``train.py``).

    Args:
        image_encoder: config of a `ovseg.encoders.CLIPViT`.
        encoders: configs of the teachers' frozen models, by the names that they ask for ("clip"
            is the image tower).
        guide: config of the `Guide` whose correlations are taught; the authors' is DINO's values.
        foreground: config of the `Foreground` that is taught.
        head: settings of the convolutions, see `DINOiserHead`. They begin at random, or at
            weights that are named there.
        block: whose tokens the convolutions read; the authors' is the third last.
        gamma: correlations of the guide from here on say that two patches belong together; that
            of inference (`CorrelationPooling`).
        threshold: probabilities above say that a patch shows a thing.

    Raises:
        ConfigError: a teacher asks for an encoder that is not there.
        WeightsError: weights unknown, missing, unsafe, or of another model.
    """

    def __init__(
        self,
        image_encoder: dict,
        encoders: dict[str, dict],
        guide: dict,
        foreground: dict,
        head: dict | None = None,
        block: int = -3,
        gamma: float = 0.2,
        threshold: float = 0.5,
    ) -> None:
        super().__init__()
        if not 0 <= gamma < 1 or not 0 <= threshold < 1:
            raise ConfigError(f"gamma and threshold lie in [0, 1), got {gamma} and {threshold}")
        self.image_encoder = MODELS.build(image_encoder)
        self.encoders = nn.ModuleDict({k: MODELS.build(v) for k, v in encoders.items()})
        self.guide = MODELS.build(guide)
        self.foreground = MODELS.build(foreground)
        for part in (self.guide, self.foreground):
            if part.encoder not in ("clip", *self.encoders):
                known = ", ".join(["clip", *self.encoders])
                raise ConfigError(
                    f"{type(part).__name__} asks for the encoder {part.encoder!r}, which is not "
                    f"among {known}: add it to `encoders`"
                )
            part.requires_grad_(False)
        settings: dict[str, Any] = {"pretrained": None, **(head or {})}
        self.head = DINOiserHead(width=self.image_encoder.width, **settings, frozen=False)
        self.block, self.gamma, self.threshold = block, gamma, threshold

    def forward(
        self,
        inputs: Sequence[Tensor],
        data_samples: list | None = None,
        mode: str = "loss",
    ) -> dict[str, Tensor]:
        """MMEngine's entry; ``mode`` is "loss", see `loss`.

        Raises:
            ConfigError: another mode; images are segmented with the config of inference.
        """
        if mode != "loss":
            raise ConfigError(
                "DINOiserDistiller is only trained: give what it wrote as `weights` to a config "
                "of CLIP-DINOiser, and score that"
            )
        return self.loss(inputs, data_samples)

    def loss(self, inputs: Sequence[Tensor], data_samples: list | None = None) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: B images (3, H, W) uint8 RGB of one size.
            data_samples: not looked at.

        Returns:
            ``loss_correlation`` and ``loss_foreground``, and two shares, which are not trained on:
            ``agree_correlation`` of the pairs of patches that are told apart as the guide does,
            ``agree_foreground`` of the patches.
        """
        batch = self.batch(inputs)
        patches = self.patches(batch)
        related, things = self.targets(batch, tuple(patches.shape[-2:]))
        correlations, logits = self.predict(patches)
        cross_entropy = F.binary_cross_entropy_with_logits
        return {
            # As the authors have it: the correlation itself, from 0 to 1, is taken for the logit.
            "loss_correlation": cross_entropy(correlations.clamp(min=0), related),
            "loss_foreground": cross_entropy(logits, things),
            "agree_correlation": _agreement(correlations >= self.gamma, related),
            "agree_foreground": _agreement(logits > 0, things),
        }

    def batch(self, inputs: Sequence[Tensor]) -> WindowBatch:
        """Images as windows of their own.

        Raises:
            ConfigError: they are of several sizes.
        """
        sizes = {tuple(image.shape[-2:]) for image in inputs}
        if len(sizes) > 1:
            raise ConfigError(
                f"images of {len(sizes)} sizes cannot be one batch: crop them to one size in the "
                "pipeline (ClassAreaCrop), or set batch_size=1"
            )
        (window,) = WholeImage()(*sizes.pop(), self.image_encoder.patch_size)
        return WindowBatch([Picture(image) for image in inputs], [window] * len(inputs))

    def patches(self, batch: WindowBatch) -> Tensor:
        """(B, D, h, w) tokens of the block; in CLIP's own precision, like all that is frozen."""
        with _full_precision(batch):
            return patches_of_block(batch, self.image_encoder, self.block)

    @torch.no_grad()
    def targets(self, batch: WindowBatch, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """What the teachers say, as zeros and ones.

        Where a teacher's patches are others than CLIP's, what it sees is resampled first, without
        antialiasing.

        Args:
            batch: images.
            grid: (h, w) patches of CLIP.

        Returns:
            (B, N, N) which patches belong together, and (B, h, w) which show a thing; float32.
        """
        with _full_precision(batch):
            features = _resample(self.guide(batch, self._encoder_of(self.guide)), grid)
            things = self.foreground(batch, self._encoder_of(self.foreground))
            things = _resample(things[:, None], grid)[:, 0]
            related = correlations_of(features) >= self.gamma
        return related.float(), (things > self.threshold).float()

    def predict(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """What the convolutions say.

        Args:
            patches: (B, D, h, w) tokens of the block.

        Returns:
            (B, N, N) correlations from -1 to 1, and (B, h, w) logits of things; float32.
        """
        features = self.head.correlation_features(patches)
        logits = self.head.foreground_logits(patches)
        with torch.autocast(patches.device.type, enabled=False):
            return correlations_of(features.float()), logits.float()

    def released(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """The trained part of a state in the layout of the authors' checkpoint."""
        begin = "head."
        found = {k.removeprefix(begin): v for k, v in state.items() if k.startswith(begin)}
        return {"model_state_dict": found}

    def _encoder_of(self, part: nn.Module) -> nn.Module:
        return self.image_encoder if part.encoder == "clip" else self.encoders[part.encoder]


def correlations_of(features: Tensor) -> Tensor:
    """Cosines of all pairs of patches: (B, C, h, w) to (B, h * w, h * w)."""
    unit = F.normalize(features.flatten(2), dim=1)
    return unit.transpose(1, 2) @ unit


def _full_precision(batch: WindowBatch) -> torch.autocast:
    """Context without autocast: models that are frozen have a precision of their own."""
    return torch.autocast(batch.pictures[0].pixels.device.type, enabled=False)


def _resample(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    if tuple(maps.shape[-2:]) == grid:
        return maps
    return F.interpolate(maps, grid, mode="bilinear", align_corners=False)


def _agreement(said: Tensor, target: Tensor) -> Tensor:
    return (said == target.bool()).float().mean()
