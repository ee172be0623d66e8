"""What a mask transformer is trained by: the class and the mask of each query."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn
from torch.nn import functional as F

from ovseg.heads.matcher import HungarianMatcher
from ovseg.heads.point_sampling import PointSource, sample_logits, sample_masks, uncertain_points
from ovseg.registry import MODELS, TASK_UTILS

__all__ = ["MaskCriterion"]

Target = tuple[Tensor, Tensor]


@MODELS.register_module()
class MaskCriterion(nn.Module):
    """Class cross entropy, mask cross entropy and dice of matched queries, for every layer.

    Each layer's prediction is matched and scored by itself (deep supervision). Queries without a
    segment are to say void, which counts less. Masks are scored at points, most of them where the
    prediction is undecided.

    Sums are divided by the mean over the processes of the number of masks, and of the weight of all
    queries, so that the gradient of a batch does not depend on how many processes share it.
    In one process this agrees with the public code of FC-CLIP.

    Source: Cheng et al., "Mask2Former", CVPR 2022, section 3.3 and Yu et al., "FC-CLIP",
    NeurIPS 2023; their public code.

    Args:
        class_weight: Of ``loss_class``, in the matching too.
        mask_weight: Of ``loss_mask``, in the matching too.
        dice_weight: Of ``loss_dice``, in the matching too.
        void_weight: Of queries that are to say void, relative to the others.
        num_points: P, points of each mask.
        oversample_ratio: How many candidates the undecided points are chosen from, times P.
        importance_ratio: Share of the points that are chosen for being undecided.
        matcher: Config of another matcher; by default a `HungarianMatcher` of the same weights and
            number of points.
    """

    def __init__(
        self,
        class_weight: float = 2.0,
        mask_weight: float = 5.0,
        dice_weight: float = 5.0,
        void_weight: float = 0.1,
        num_points: int = 12544,
        oversample_ratio: float = 3.0,
        importance_ratio: float = 0.75,
        matcher: dict | None = None,
    ) -> None:
        super().__init__()
        if oversample_ratio < 1 or not 0 <= importance_ratio <= 1:
            raise ValueError(
                "oversample_ratio must be at least 1 and importance_ratio from 0 to 1, got "
                f"{oversample_ratio} and {importance_ratio}."
            )
        self.weights = dict(loss_class=class_weight, loss_mask=mask_weight, loss_dice=dice_weight)
        self.void_weight = void_weight
        self.num_points = num_points
        self.oversample_ratio, self.importance_ratio = oversample_ratio, importance_ratio
        if matcher is None:
            self.matcher = HungarianMatcher(class_weight, mask_weight, dice_weight, num_points)
        else:
            self.matcher = TASK_UTILS.build(matcher)
        self._seeds: list[int] | None = None

    def seed_points(self, seeds: Sequence[int] | None) -> None:
        """Say what the points of each image of the next batches are drawn from.

        Args:
            seeds: One number for each image; None goes back to torch's random state.
        """
        self._seeds = None if seeds is None else [int(seed) for seed in seeds]

    def forward(self, predictions: list[dict], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Weighted losses.

        Args:
            predictions: One dict for each layer, the last one's last: ``masks`` (B, Q, h, w) mask
                logits, ``logits`` (B, Q, C + 1) class logits with void last.
            targets: For each image labels (n,) int64 below C and masks (n, H, W) bool, all of the
                size of the padded images that were read. n may be 0, in every image too.

        Returns:
            ``loss_class``, ``loss_mask`` and ``loss_dice`` of the last layer, and of earlier layers
            with ``_0``, ``_1``... behind; float32 scalars.

        Raises:
            ValueError: Targets do not fit the predictions.
        """
        last = predictions[-1]
        self._check(last, targets)
        source = PointSource(last["masks"].device, self._seeds)
        masks_per_process, weight_per_process = self._normalisers(last["logits"], targets)
        losses = {}
        # The last layer comes first, as in the public code, which draws its points in this order.
        order = [("", last), *((f"_{i}", p) for i, p in enumerate(predictions[:-1]))]
        with torch.autocast(last["masks"].device.type, enabled=False):
            for suffix, prediction in order:
                logits, masks = prediction["logits"].float(), prediction["masks"]
                pairs = self.matcher(logits, masks, targets, source)
                found = dict(
                    loss_class=self._class_loss(logits, targets, pairs) / weight_per_process
                )
                found["loss_mask"], found["loss_dice"] = (
                    loss / masks_per_process
                    for loss in self._mask_losses(masks, targets, pairs, source)
                )
                losses.update(
                    {name + suffix: self.weights[name] * loss for name, loss in found.items()}
                )
        return losses

    def _check(self, prediction: dict, targets: Sequence[Target]) -> None:
        batch, _, outputs = prediction["logits"].shape
        if len(targets) != batch:
            raise ValueError(f"{len(targets)} targets were given for {batch} images.")
        if self._seeds is not None and len(self._seeds) != batch:
            raise ValueError(f"{len(self._seeds)} seeds of points were given for {batch} images.")
        sizes = {tuple(masks.shape[-2:]) for labels, masks in targets if len(labels)}
        if len(sizes) > 1:
            raise ValueError(
                f"masks of a batch have the sizes {sorted(sizes)}: pad them as the images are."
            )
        labels = torch.cat([labels for labels, _ in targets])
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < outputs - 1:
            raise ValueError(
                f"labels run from {int(labels.min())} to {int(labels.max())}, but the model has "
                f"{outputs - 1} classes: train it with the vocabulary of the dataset."
            )

    def _normalisers(self, logits: Tensor, targets: Sequence[Target]) -> tuple[Tensor, Tensor]:
        """Number of masks, at least 1, and weight of all queries: means over the processes."""
        batch, queries, _ = logits.shape
        counts = [len(labels) for labels, _ in targets]
        matched = sum(min(count, queries) for count in counts)
        weight = matched + self.void_weight * (batch * queries - matched)
        sums = torch.tensor([sum(counts), weight], dtype=torch.float64).to(logits.device)
        all_reduce(sums)
        masks, weight = (sums / get_world_size()).float()
        return masks.clamp(min=1), weight

    def _class_loss(self, logits: Tensor, targets: Sequence[Target], pairs: list) -> Tensor:
        """Sum over all queries."""
        wanted = logits.new_full(logits.shape[:2], logits.shape[2] - 1, dtype=torch.long)
        for row, (labels, _), (queries, segments) in zip(wanted, targets, pairs, strict=True):
            row[queries] = labels[segments]
        weight = logits.new_ones(logits.shape[2])
        weight[-1] = self.void_weight
        return F.cross_entropy(logits.transpose(1, 2), wanted, weight, reduction="sum")

    def _mask_losses(
        self, masks: Tensor, targets: Sequence[Target], pairs: list, source: PointSource
    ) -> tuple[Tensor, Tensor]:
        """Cross entropy and dice, sums over all matched masks."""
        counts = [len(queries) for queries, _ in pairs]
        found = torch.cat([masks[i, queries] for i, (queries, _) in enumerate(pairs)]).float()
        if len(found) == 0:
            nothing = masks.float().sum() * 0  # so that every parameter gets a gradient
            return nothing, nothing
        points = uncertain_points(
            found.detach(),
            counts,
            source,
            self.num_points,
            self.oversample_ratio,
            self.importance_ratio,
        )
        with torch.no_grad():
            # Image by image: the masks of a batch at full size are never copied together.
            wanted = torch.cat(
                [
                    sample_masks(target[segments], mine)
                    for (_, target), (_, segments), mine in zip(
                        targets, pairs, points.split(counts), strict=True
                    )
                ]
            )
        values = sample_logits(found, points)
        entropy = F.binary_cross_entropy_with_logits(values, wanted, reduction="none").mean(1)
        p = values.sigmoid()
        dice = 1 - (2 * (p * wanted).sum(1) + 1) / (p.sum(1) + wanted.sum(1) + 1)
        return entropy.sum(), dice.sum()
