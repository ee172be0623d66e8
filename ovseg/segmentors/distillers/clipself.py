"""CLIPSelf: a CLIP ViT teaches its dense map what it sees in crops of the same image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.structures import SegDataSample
from torch.nn import functional as F

from ovseg.errors import ConfigError
from ovseg.registry import MODELS
from ovseg.segmentors.distillers.tower_trainer import TowerTrainer, mean_count

#: One of so many crops is read by the student too, for `CLIPSelf.keep_weight`: enough to hold it,
#: and cheap beside its dense map.
KEPT_CROPS = 4


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
        keep_weight: Factor on a second loss, not the paper's: of every fourth crop of a picture,
            read as an image of its own, the student must give the teacher's embedding. What whole
            images are called is then not forgotten while the dense map is taught. 0: no such loss.

    Raises:
        ConfigError: See `TowerTrainer`; a negative weight.
    """

    def __init__(
        self,
        student: dict,
        unlocked_blocks: int | None = None,
        sizes: Sequence[int] | None = None,
        loss_weight: float = 1.0,
        keep_weight: float = 0.0,
    ) -> None:
        super().__init__(student, unlocked_blocks, sizes, keep_start=True)
        if min(loss_weight, keep_weight) < 0:
            raise ConfigError(
                f"loss_weight and keep_weight are at least 0, got {loss_weight} and {keep_weight}"
            )
        self.loss_weight, self.keep_weight = loss_weight, keep_weight

    def loss(
        self,
        inputs: torch.Tensor,
        data_samples: Sequence[SegDataSample],
        boxes: Sequence[torch.Tensor],
        crops: torch.Tensor | None,
    ) -> dict[str, torch.Tensor]:
        """``loss_cosine`` of a batch, and ``loss_keep``; see `TowerTrainer.forward`.

        Every box counts the same, whichever process it is in.

        Raises:
            ConfigError: There are no crops.
        """
        if crops is None:
            raise ConfigError("CLIPSelf compares boxes with crops: set crop_size of PackRegions.")
        target = F.normalize(self.teacher(crops), dim=-1)
        found = self.student_features(inputs, boxes, data_samples)
        losses = {"loss_cosine": _distance(found, target) * self.loss_weight}
        if self.keep_weight:
            # Counted from each picture's first, whichever process and batch the picture is in.
            kept = torch.cat([torch.arange(len(b)) % KEPT_CROPS == 0 for b in boxes])
            kept = kept.to(crops.device)
            losses["loss_keep"] = (
                _distance(self.student(crops[kept]), target[kept]) * self.keep_weight
            )
        return losses


def _distance(found: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """One minus the mean cosine with unit vectors ``target``, over all processes."""
    far = (1 - (F.normalize(found.float(), dim=-1) * target).sum(-1)).sum()
    return far / mean_count(len(target), far)
