"""The losses of self-distillation, and where a patch of one crop lies in another."""

from __future__ import annotations

import torch
from torch.nn import functional as F


@torch.no_grad()
def sinkhorn(logits: torch.Tensor, temperature: float, iterations: int = 3) -> torch.Tensor:
    """Share rows out among prototypes so that each prototype gets as much (SwAV, DINOv2).

    Args:
        logits: (n, K), the teacher's.
        temperature: small is sharp.
        iterations: of Sinkhorn's algorithm.

    Returns:
        (n, K) float32, rows sum to 1.
    """
    x = logits.float() / temperature
    q = (x - x.max()).exp()
    # A prototype that nothing is near must not divide by zero.
    for _ in range(iterations):
        q = q / q.sum(0, keepdim=True).clamp(min=1e-12)
        q = q / q.sum(1, keepdim=True).clamp(min=1e-12)
    return q


def cross_entropy(
    student: torch.Tensor, teacher: torch.Tensor, temperature: float = 0.1
) -> torch.Tensor:
    """Mean over rows of the cross entropy of logits (n, K) with probabilities (n, K); 0 of none."""
    total = -(teacher * F.log_softmax(student.float() / temperature, dim=-1)).sum()
    return total / max(len(student), 1)


def koleo(x: torch.Tensor) -> torch.Tensor:
    """Kozachenko-Leonenko: rows (n, D) are pushed from their nearest neighbours (DINOv2)."""
    x = F.normalize(x.float(), dim=-1, eps=1e-8)
    with torch.no_grad():
        likeness = x @ x.T
        likeness.fill_diagonal_(-2)
        nearest = likeness.argmax(1)
    return -((x - x[nearest]).norm(dim=1) + 1e-6).log().mean()


def patch_centers(boxes: torch.Tensor, side: int) -> torch.Tensor:
    """Where the patches of views lie in the picture: (n, side * side, 2) of x, y.

    Args:
        boxes: (n, 4), left, right, upper and lower edge.
        side: patches on a side of the views.
    """
    along = (torch.arange(side, device=boxes.device) + 0.5) / side
    x = boxes[:, :1] + along * (boxes[:, 1:2] - boxes[:, :1])
    y = boxes[:, 2:3] + along * (boxes[:, 3:] - boxes[:, 2:3])
    grid = torch.stack(
        [x[:, None].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)], dim=-1
    )
    return grid.flatten(1, 2)


def sample_tokens(
    tokens: torch.Tensor, boxes: torch.Tensor, places: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Read patch tokens of views at places of the picture, bilinearly.

    Args:
        tokens: (n, N, D) of square views.
        boxes: (n, 4) of these views.
        places: (n, m, 2), x and y.

    Returns:
        (n, m, D), and (n, m) bool: whether the place lies in the view, half a patch from its edge.
    """
    side = round(tokens.shape[1] ** 0.5)
    low, high = boxes[:, None, [0, 2]], boxes[:, None, [1, 3]]
    where = 2 * (places - low) / (high - low) - 1  # -1..1 from edge to edge
    plane = tokens.mT.unflatten(-1, (side, side))
    read = F.grid_sample(
        plane, where[:, None].to(plane.dtype), mode="bilinear", align_corners=False
    )
    return read[:, :, 0].mT, (where.abs() <= 1 - 1 / side).all(-1)


def smoothed(tokens: torch.Tensor, sharpness: float) -> torch.Tensor:
    """Each patch as the mean of the patches of its own image that resemble it: (n, N, D).

    Weights are the softmax of ``sharpness`` times the cosine similarity, of tokens whose mean over
    the image was taken off, so that what all patches share says nothing.
    """
    x = tokens.float()
    unit = F.normalize(x - x.mean(1, keepdim=True), dim=-1)
    return (sharpness * unit @ unit.mT).softmax(-1) @ x
