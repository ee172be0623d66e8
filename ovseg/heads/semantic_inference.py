"""From masks with class probabilities to one class a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class SemanticResult:
    """Classes of the pixels of one picture, on the CPU.

    Attributes:
        labels: (H, W) int32.
        areas: (C,) int64, pixels of each class.
        scores: (C,) float32: over the pixels of a class, its mean share of all classes' votes.
    """

    labels: torch.Tensor
    areas: torch.Tensor
    scores: torch.Tensor


class SemanticInference:
    """A pixel's class is the one with the most votes.

    Each mask votes with its probability at the pixel, for each class with the class's probability.
    Takes masks band by band, so that nothing is ever held for all classes and all pixels.

    Source: Cheng et al., "Per-Pixel Classification is Not All You Need", NeurIPS 2021, section 3.4;
    agrees with ``semantic_inference`` of Mask2Former and FC-CLIP.

    Args:
        probabilities: (Q, C + 1); the last, "no class", votes for nothing.
        size: (H, W).
    """

    def __init__(self, probabilities: torch.Tensor, size: tuple[int, int]) -> None:
        self.classes = probabilities[:, :-1].mT.contiguous()
        self.labels = torch.empty(size, dtype=torch.int32)
        self.sums = torch.zeros(len(self.classes), dtype=torch.float64)

    def add(self, start: int, logits: torch.Tensor, probabilities: torch.Tensor) -> None:
        """Take the rows from ``start`` on: (Q, n, W) mask logits and their sigmoid."""
        votes = self.classes @ probabilities.flatten(1)
        best, labels = votes.max(0)
        share = best / votes.sum(0).clamp(min=1e-12)
        labels = labels.cpu()
        height, width = logits.shape[1:]
        self.labels[start : start + height] = labels.view(height, width)
        self.sums += torch.bincount(labels, share.cpu().double(), minlength=len(self.sums))

    def result(self) -> SemanticResult:
        """After all rows."""
        areas = torch.bincount(self.labels.flatten(), minlength=len(self.sums))
        return SemanticResult(self.labels, areas, (self.sums / areas.clamp(min=1)).float())
