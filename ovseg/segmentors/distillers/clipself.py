"""CLIPSelf: a CLIP ViT teaches its dense map what it sees in crops of the same image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.structures import SegDataSample
from torch.nn import functional as F

from ovseg.errors import ConfigError
from ovseg.registry import MODELS
from ovseg.segmentors.distillers.tower_trainer import TowerTrainer, mean_count


@MODELS.register_module()
class CLIPSelf(TowerTrainer):
    """Distils the embeddings of crops into the features of their boxes; no label is needed.

    The teacher, frozen, embeds each crop as an image of its own; the student reads the whole image
    once, and features of the boxes are pooled from its dense map. The loss is one minus the mean
    cosine of the two. Boxes are those of a random grid, or given proposals; the pipeline of the
    data decides (`GridBoxes`, `GivenBoxes`).

    Source: Wu et al., CLIPSelf: Vision Transformer Distills Itself for Open-Vocabulary Dense
    Prediction, ICLR 2024; agrees with the authors' code (wusize/CLIPSelf).

    Args:
        student: Config of the image tower; the teacher is what it is before training.
        unlocked_blocks: How many of its last blocks are trained, by default all; see
            `TowerTrainer`.
        sizes: Sides of the student's input, one of which is drawn for every picture; published for
            1024 pixels: 320, 640, 896, 1024, for 896: 336, 448, 672, 896.
        loss_weight: Factor on the loss.

    Raises:
        ConfigError: See `TowerTrainer`.
    """

    def __init__(
        self,
        student: dict,
        unlocked_blocks: int | None = None,
        sizes: Sequence[int] | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(student, unlocked_blocks, sizes, keep_start=True)
        self.loss_weight = loss_weight

    def loss(
        self,
        inputs: torch.Tensor,
        data_samples: Sequence[SegDataSample],
        boxes: Sequence[torch.Tensor],
        crops: torch.Tensor | None,
    ) -> dict[str, torch.Tensor]:
        """``loss_cosine`` of a batch, see `TowerTrainer.forward`.

        Every box counts the same, whichever process it is in.

        Raises:
            ConfigError: There are no crops.
        """
        if crops is None:
            raise ConfigError("CLIPSelf compares boxes with crops: set crop_size of PackRegions.")
        target = F.normalize(self.teacher(crops), dim=-1)
        found = F.normalize(self.student_features(inputs, boxes, data_samples).float(), dim=-1)
        far = (1 - (found * target).sum(-1)).sum()
        return {"loss_cosine": far / mean_count(len(target), far) * self.loss_weight}
