"""From masks with class probabilities to a ranked list of things, which may overlap."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class InstanceResult:
    """Things of one picture, best first, on the CPU.

    Attributes:
        labels: (n,) int64 class indices.
        scores: (n,) float32: probability of the class times the mask's mean probability inside.
        masks: (n, H, W) bool.
    """

    labels: torch.Tensor
    scores: torch.Tensor
    masks: torch.Tensor


class InstanceInference:
    """The most probable pairs of mask and class, of which those with classes of things are kept.

    One mask may be given for several classes. Takes masks band by band.

    Source: Cheng et al., CVPR 2022; agrees with ``instance_inference`` of Mask2Former and FC-CLIP.

    Args:
        probabilities: (Q, C + 1), "no class" last.
        things: (C,) bool.
        size: (H, W).
        most: how many pairs are considered.
    """

    def __init__(
        self,
        probabilities: torch.Tensor,
        things: torch.Tensor,
        size: tuple[int, int],
        most: int = 100,
    ) -> None:
        classes = probabilities[:, :-1]
        scores, pairs = classes.flatten().topk(min(most, classes.numel()))
        labels = pairs % classes.shape[1]
        kept = things.to(labels.device)[labels]
        self.scores, self.labels = scores[kept].cpu(), labels[kept].cpu()
        queries = (pairs // classes.shape[1])[kept]
        self.queries, pick = queries.unique(return_inverse=True)
        self.pick = pick.cpu()
        self.masks = torch.zeros(len(self.queries), *size, dtype=torch.bool)
        self.sums = torch.zeros(len(self.queries), dtype=torch.float64)

    def add(self, start: int, logits: torch.Tensor, probabilities: torch.Tensor) -> None:
        """Take the rows from ``start`` on: (Q, n, W) mask logits and their sigmoid."""
        if len(self.queries) == 0:
            return
        masks = logits[self.queries] > 0
        self.sums += (probabilities[self.queries] * masks).sum((1, 2)).cpu().double()
        self.masks[:, start : start + masks.shape[1]] = masks.cpu()

    def result(self) -> InstanceResult:
        """After all rows."""
        sure = self.sums / (self.masks.flatten(1).sum(1) + 1e-6)
        scores = self.scores * sure[self.pick].float()
        order = scores.argsort(descending=True, stable=True)
        return InstanceResult(self.labels[order], scores[order], self.masks[self.pick[order]])
