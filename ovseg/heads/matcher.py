"""Which query answers for which segment: the assignment that costs least."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from ovseg.heads.point_sampling import PointSource, sample_logits, sample_masks
from ovseg.registry import TASK_UTILS

__all__ = ["HungarianMatcher", "matching_cost"]

# In place of costs that are no numbers: nothing is matched by them if there is any other way.
_NEVER = 1e6


def matching_cost(
    logits: Tensor,
    mask_values: Tensor,
    labels: Tensor,
    target_values: Tensor,
    weights: tuple[float, float, float] = (2.0, 5.0, 5.0),
) -> Tensor:
    """What it would cost to make each query answer for each segment of one image.

    The cross entropy of all pairs is one product of matrices, since it is linear in the target:
    ``softplus(x) - x t``.

    Args:
        logits: (Q, C + 1) class logits, void last.
        mask_values: (Q, P) mask logits at P points.
        labels: (n,) int64 classes of the segments.
        target_values: (n, P) masks of the segments at the same points, 0 to 1.
        weights: Of class, cross entropy and dice.

    Returns:
        (Q, n) float32.
    """
    by_class, by_mask, by_dice = weights
    x, t = mask_values.float(), target_values.float()
    cost = -by_class * logits.float().softmax(-1)[:, labels]
    entropy = F.softplus(x).sum(1, keepdim=True) - x @ t.T
    cost = cost + by_mask * entropy / x.shape[1]
    p = x.sigmoid()
    dice = 1 - (2 * (p @ t.T) + 1) / (p.sum(1)[:, None] + t.sum(1)[None] + 1)
    return cost + by_dice * dice


@TASK_UTILS.register_module()
class HungarianMatcher:
    """Matches queries and segments one to one, by the cost of classes and of masks at points.

    All queries and segments of an image are compared at the same random points, so that nothing
    grows as queries x segments x pixels.

    Source: Cheng et al., "Mask2Former", CVPR 2022; the public code of FC-CLIP.

    Args:
        class_weight: Of minus the probability of the segment's class.
        mask_weight: Of the mean binary cross entropy of the mask.
        dice_weight: Of one minus the dice coefficient of the mask.
        num_points: P, points an image is looked at.
    """

    def __init__(
        self,
        class_weight: float = 2.0,
        mask_weight: float = 5.0,
        dice_weight: float = 5.0,
        num_points: int = 12544,
    ) -> None:
        if num_points < 1:
            raise ValueError(f"num_points must be at least 1, got {num_points}.")
        self.weights = (class_weight, mask_weight, dice_weight)
        self.num_points = num_points

    @torch.no_grad()
    def __call__(
        self,
        logits: Tensor,
        masks: Tensor,
        targets: Sequence[tuple[Tensor, Tensor]],
        source: PointSource | None = None,
    ) -> list[tuple[Tensor, Tensor]]:
        """Match a batch.

        Args:
            logits: (B, Q, C + 1) class logits, void last.
            masks: (B, Q, h, w) mask logits.
            targets: For each image labels (n,) int64 and masks (n, H, W) bool; n may be 0.
            source: Where points come from; by default torch's random state.

        Returns:
            For each image the matched queries, rising, and the segment of each: two (k,) int64
            tensors on the device of the logits, k the smaller of Q and n.
        """
        source = source or PointSource(masks.device)
        pairs = []
        for image, (labels, target_masks) in enumerate(targets):
            points = source.one(image, self.num_points)
            if len(labels) == 0:
                queries = segments = torch.zeros(0, dtype=torch.long)
            else:
                cost = matching_cost(
                    logits[image],
                    sample_logits(masks[image].float(), points),
                    labels,
                    sample_masks(target_masks, points),
                    self.weights,
                )
                # A prediction that is no number is matched all the same: the loss then tells.
                cost = torch.nan_to_num(cost, nan=_NEVER, posinf=_NEVER, neginf=-_NEVER)
                found = linear_sum_assignment(cost.cpu().numpy())
                queries, segments = (torch.from_numpy(index).long() for index in found)
            pairs.append((queries.to(logits.device), segments.to(logits.device)))
        return pairs
