"""A CLIP image tower some blocks of which are trained."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.model import BaseModel
from mmseg.structures import SegDataSample
from torch.nn import functional as F

from ovseg.dense import box_features, dense_map
from ovseg.encoders.clip_saving import blended, clip_state, save_clip
from ovseg.errors import ConfigError
from ovseg.registry import MODELS
from ovseg.segmentors.distillers.preprocessor import RegionPreprocessor


class TowerTrainer(BaseModel, ABC):
    """What trainings of a tower by features of its dense map have in common.

    Args:
        student: Config of the image tower that is trained (a `CLIPViT`); where it begins.
        unlocked_blocks: How many of its last blocks are trained; everything else is frozen: what
            comes before them, the final norm and the projection. None trains all blocks.
        sizes: Sides of the student's input, one of which is drawn for every picture; None leaves
            pictures as they come.
        keep_start: Keep the tower as it was, frozen beside the trained one.

    Raises:
        ConfigError: Nothing would be trained, there are fewer blocks, or a size is none the tower
            reads.
    """

    def __init__(
        self,
        student: dict,
        unlocked_blocks: int | None = None,
        sizes: Sequence[int] | None = None,
        keep_start: bool = False,
    ) -> None:
        tower = MODELS.build({**student, "frozen": False, "precision": "fp32"})
        if not hasattr(tower, "block"):
            raise ConfigError(
                f"the dense map of a {type(tower).__name__} cannot be trained: use "
                "student=dict(type='CLIPViT', ...)"
            )
        super().__init__(data_preprocessor=RegionPreprocessor(tower.mean, tower.std))
        self.student = tower
        wrong = [size for size in sizes or () if size < 1 or size % tower.patch_size]
        if wrong or (sizes is not None and not sizes):
            raise ConfigError(
                f"sizes must be multiples of the patch size {tower.patch_size}, got {sizes}"
            )
        self.sizes = None if sizes is None else tuple(sizes)
        blocks = tower.blocks
        count = len(blocks) if unlocked_blocks is None else unlocked_blocks
        if not 1 <= count <= len(blocks):
            raise ConfigError(
                f"unlocked_blocks must be from 1 to {len(blocks)}, the blocks of "
                f"{tower.fingerprint}, got {unlocked_blocks}"
            )
        tower.requires_grad_(False)
        for block in blocks[len(blocks) - count :]:
            block.requires_grad_(True)
        self.teacher = None
        if keep_start:
            self.teacher = MODELS.build({**student, "frozen": True, "precision": "fp32"})
            # Random towers differ from each other.
            self.teacher.load_state_dict(tower.state_dict())

    def forward(
        self,
        inputs: torch.Tensor,
        data_samples: Sequence[SegDataSample],
        boxes: Sequence[torch.Tensor],
        crops: torch.Tensor | None = None,
        mode: str = "loss",
    ) -> dict[str, torch.Tensor]:
        """MMEngine's entry; only ``mode="loss"`` has a meaning.

        Args:
            inputs: (B, 3, S, S) normalized.
            data_samples: One per image.
            boxes: For each image (n, 4), shares of the picture.
            crops: (sum of n, 3, c, c) normalized.
            mode: must be "loss".
        """
        if mode != "loss":
            raise ConfigError(
                f"{type(self).__name__} trains a tower and predicts nothing: score the tower it "
                "saves, with image_encoder=dict(weights=...)"
            )
        return self.loss(inputs, data_samples, boxes, crops)

    @abstractmethod
    def loss(self, inputs, data_samples, boxes, crops) -> dict[str, torch.Tensor]:
        """Losses of a batch, see `forward`."""

    def student_features(
        self,
        images: torch.Tensor,
        boxes: Sequence[torch.Tensor],
        data_samples: Sequence[SegDataSample] = (),
    ) -> torch.Tensor:
        """Features of boxes in the student's dense map: (sum of n, E), in their order.

        Pictures are first resized, each to one of `sizes`. Which, its ``sample_seed`` decides where
        it has one, so that it does not depend on how pictures are shared among processes.
        """
        sides = self._draw_sizes(len(images), data_samples)
        found: list[torch.Tensor | None] = [None] * len(images)
        for side in dict.fromkeys(sides):
            places = [i for i, other in enumerate(sides) if other == side]
            chosen = images[places]
            if side is not None and chosen.shape[-1] != side:
                chosen = F.interpolate(chosen, (side, side), mode="bilinear")
            pooled = box_features(dense_map(self.student, chosen), [boxes[i] for i in places])
            parts = pooled.split([len(boxes[i]) for i in places])
            for i, part in zip(places, parts, strict=True):
                found[i] = part
        return torch.cat(found)

    def _draw_sizes(self, count: int, data_samples: Sequence[SegDataSample]) -> list[int | None]:
        if self.sizes is None:
            return [None] * count
        seeds = [sample.metainfo.get("sample_seed") for sample in data_samples]
        if len(seeds) != count or None in seeds:
            return [random.choice(self.sizes) for _ in range(count)]
        # A third number, apart from those that positions and orders are drawn from.
        draws = [np.random.default_rng((seed, 3)).integers(len(self.sizes)) for seed in seeds]
        return [self.sizes[draw] for draw in draws]

    # -- what is saved ---------------------------------------------------------------------------

    def save_tower(self, path: str | Path, blend: float = 1.0, **meta: Any) -> None:
        """Save the tower in open_clip's layout, with the text tower of the checkpoint it began as.

        Args:
            path: A file ending in .safetensors.
            blend: Share of the trained weights in what is saved; the rest is as before training
                (published: 0.7 for ViT-B/16, 0.95 for ViT-L/14).
            **meta: Said in the file.

        Raises:
            ConfigError: ``blend`` is below 1 and the tower was not kept as it was.
        """
        state = self.student.visual.state_dict()
        if blend != 1:
            if self.teacher is None:
                raise ConfigError(
                    f"{type(self).__name__} did not keep the tower as it was: set "
                    "model.keep_start=True, or blend to 1"
                )
            state = blended(state, self.teacher.visual.state_dict(), blend)
        known = {"trained_by": type(self).__name__, "from": self.student.fingerprint, **meta}
        meta = {key: str(value) for key, value in {**known, "blend": blend}.items()}
        save_clip(path, clip_state(state, self.student), meta)


def mean_count(count: int, like: torch.Tensor) -> torch.Tensor:
    """Mean over the processes of a number of this process, at least 1."""
    total = like.new_tensor(float(count))
    if get_world_size() > 1:
        all_reduce(total, "mean")
    # With fewer regions than processes the mean is below 1, and right.
    return total.clamp(min=1 / get_world_size())
