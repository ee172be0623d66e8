"""What the nano SAM is taught by: masks, and how good it believes them to be.

As Kirillov et al., "Segment Anything" (2023), section 3 and appendix A.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

#: Weight of the focal loss against dice, as in the paper.
FOCAL = 20.0


def focal_loss(
    logits: torch.Tensor, truth: torch.Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> torch.Tensor:
    """Focal loss of each mask (Lin et al., 2017), averaged over its pixels.

    Args:
        logits: (..., H, W).
        truth: (..., H, W), 0 to 1.
        alpha: weight of the object; the background has ``1 - alpha``.
        gamma: how much less sure pixels count more.

    Returns:
        (...).
    """
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    missed = (logits.sigmoid() - truth).abs()
    weight = alpha * truth + (1 - alpha) * (1 - truth)
    return (weight * missed**gamma * entropy).flatten(-2).mean(-1)


def dice_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice coefficient of each mask (Milletari et al., 2016): (...)."""
    guess, truth = logits.sigmoid().flatten(-2), truth.flatten(-2)
    both = (guess * truth).sum(-1)
    return 1 - (2 * both + 1) / (guess.sum(-1) + truth.sum(-1) + 1)


def mask_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Focal and dice loss of each mask: (...)."""
    return FOCAL * focal_loss(logits, truth) + dice_loss(logits, truth)


@torch.no_grad()
def true_iou(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Intersection over union of masks (logits above 0) and truth (above a half): (...)."""
    guess, truth = logits > 0, truth > 0.5
    both, either = (guess & truth).flatten(-2).sum(-1), (guess | truth).flatten(-2).sum(-1)
    return both / either.clamp(min=1)


@torch.no_grad()
def best_of(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Which of several masks fits best, by its loss: the only one that is taught.

    Args:
        logits: (N, M, h, w).
        truth: (N, h, w), 0 to 1.

    Returns:
        (N,) int64.
    """
    return mask_loss(logits, truth[:, None].expand_as(logits)).argmin(1)


def grouping_loss(
    weights: torch.Tensor, grid: tuple[int, int], masks: torch.Tensor
) -> torch.Tensor:
    """How much of the attention of patches inside a mask leaves the mask: mean of -log(kept).

    Args:
        weights: (B, heads, N, N) attention, rows sum to 1; the heads' mean counts.
        grid: (h, w) of the patches, ``h * w == N``.
        masks: (B, P, S, S) bool. A patch is inside where a mask covers three quarters of it.

    Returns:
        A scalar, 0 where no mask has a patch inside.
    """
    share = F.adaptive_avg_pool2d(masks.float(), grid).flatten(2)
    kept = (weights @ share.mT[:, None]).mean(1).mT
    inside = share > 0.75
    lost = -(kept.clamp(min=1e-6).log() * inside).sum(-1) / inside.sum(-1).clamp(min=1)
    return lost.sum() / inside.any(-1).sum().clamp(min=1)
