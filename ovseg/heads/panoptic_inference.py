"""From masks with class probabilities to segments that do not overlap."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class PanopticResult:
    """Segments of one picture, on the CPU.

    Attributes:
        ids: (H, W) int32; 0 where there is no segment.
        segments: for each id, from 1 on, ``id``, ``category_id`` (class index), ``isthing``,
            ``score`` (probability of its class; the best of them where stuff was merged) and
            ``area`` (pixels).
    """

    ids: torch.Tensor
    segments: list[dict]


class PanopticInference:
    """Each pixel goes to the mask with the largest product of class and mask probability.

    Masks of "no class", and those no more probable than ``threshold``, are left out. A mask that
    loses too much of itself to others is dropped, its pixels with it; masks of one class of stuff
    become one segment. Takes masks band by band.

    Source: Cheng et al., NeurIPS 2021, section 3.4; agrees with ``panoptic_inference`` of
    Mask2Former and FC-CLIP.

    Args:
        probabilities: (Q, C + 1), "no class" last.
        things: (C,) bool.
        size: (H, W).
        threshold: smallest probability of a mask's class, exclusive.
        overlap: smallest share of its own area that a mask must keep.
    """

    def __init__(
        self,
        probabilities: torch.Tensor,
        things: torch.Tensor,
        size: tuple[int, int],
        threshold: float = 0.0,
        overlap: float = 0.8,
    ) -> None:
        scores, labels = probabilities.max(-1)
        self.kept = ((labels != len(things)) & (scores > threshold)).nonzero()[:, 0]
        self.scores, self.labels = scores[self.kept], labels[self.kept].tolist()
        self.things, self.overlap = things, overlap
        count = len(self.kept)
        self.won, self.whole, self.shown = torch.zeros(3, count, dtype=torch.int64)
        # The mask of each pixel, from 1 on; 0 where the winner is not more there than not.
        self.owner = torch.zeros(size, dtype=torch.int32)

    def add(self, start: int, logits: torch.Tensor, probabilities: torch.Tensor) -> None:
        """Take the rows from ``start`` on: (Q, n, W) mask logits and their sigmoid."""
        count = len(self.kept)
        if count == 0:
            return
        if count < len(probabilities):
            probabilities = probabilities[self.kept]
        owner = (self.scores[:, None, None] * probabilities).argmax(0)
        inside = probabilities >= 0.5
        self.whole += inside.sum((1, 2)).cpu()
        self.won += torch.bincount(owner.flatten(), minlength=count).cpu()
        shown = inside.gather(0, owner[None])[0]
        self.shown += torch.bincount(owner[shown], minlength=count).cpu()
        self.owner[start : start + len(owner)] = ((owner + 1) * shown).to(torch.int32).cpu()

    def result(self) -> PanopticResult:
        """After all rows."""
        segments: list[dict] = []
        stuff: dict[int, dict] = {}
        new_ids = torch.zeros(len(self.kept) + 1, dtype=torch.int32)
        counts = zip(self.won.tolist(), self.whole.tolist(), self.shown.tolist(), strict=True)
        for k, (won, whole, shown) in enumerate(counts):
            if min(won, whole, shown) == 0 or won / whole < self.overlap:
                continue
            label, score = self.labels[k], float(self.scores[k])
            segment = stuff.get(label)
            if segment is None:
                segment = {
                    "id": len(segments) + 1,
                    "category_id": label,
                    "isthing": bool(self.things[label]),
                    "score": score,
                    "area": 0,
                }
                segments.append(segment)
                if not segment["isthing"]:
                    stuff[label] = segment
            segment["area"] += shown
            segment["score"] = max(segment["score"], score)
            new_ids[k + 1] = segment["id"]
        return PanopticResult(new_ids[self.owner.long()], segments)
