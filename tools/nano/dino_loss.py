"""The losses of self-distillation."""

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
