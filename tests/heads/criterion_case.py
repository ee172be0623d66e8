"""Predictions, targets and points drawn from seeds, for the comparison with recorded losses.

The recorded arrays hold what the public code of FC-CLIP gave for these
(tools/record/record_fcclip_losses.py). Nothing here may change without recording anew.
"""

from __future__ import annotations

import numpy as np
import torch

#: Settings of each case: images, queries, classes, layers, segments of each image, points.
CASES = {
    "usual": dict(segments=(3, 5), queries=12, classes=7, layers=3, size=16, points=200),
    "empty-image": dict(segments=(0, 4), queries=8, classes=5, layers=2, size=16, points=100),
    "no-segment": dict(segments=(0, 0), queries=6, classes=4, layers=2, size=8, points=50),
    "crowded": dict(segments=(9, 1), queries=5, classes=3, layers=1, size=12, points=120),
    "published-points": dict(segments=(4,), queries=10, classes=9, layers=1, size=32, points=12544),
}
#: Weights of class, cross entropy and dice, and of void, as published.
WEIGHTS, VOID = (2.0, 5.0, 5.0), 0.1


def draw_case(name: str) -> tuple[list[dict], list[tuple[torch.Tensor, torch.Tensor]]]:
    """Predictions of all layers, the last one's last, and targets at four times their size."""
    case = CASES[name]
    state = np.random.RandomState(len(name))
    batch, size = len(case["segments"]), case["size"]

    def draw(*shape: int, scale: float = 1.0) -> torch.Tensor:
        return torch.from_numpy(state.standard_normal(shape) * scale).float().requires_grad_()

    predictions = [
        dict(
            masks=draw(batch, case["queries"], size, size, scale=4.0),
            logits=draw(batch, case["queries"], case["classes"] + 1, scale=2.0),
        )
        for _ in range(case["layers"])
    ]
    targets = []
    for count in case["segments"]:
        ids = state.randint(0, count + 1, (6, 6)).repeat(4 * size // 6 + 1, 0)
        ids = ids.repeat(4 * size // 6 + 1, 1)[: 4 * size, : 4 * size]
        masks = ids[None] == np.arange(1, count + 1)[:, None, None]
        labels = state.randint(0, case["classes"], count)
        targets.append((torch.from_numpy(labels).long(), torch.from_numpy(masks)))
    return predictions, targets


class Points:
    """In place of `torch.rand`: uniform numbers that are the same with every version of torch."""

    def __init__(self) -> None:
        self.state = np.random.RandomState(7)

    def __call__(self, *size: int, device=None, generator=None) -> torch.Tensor:
        return torch.from_numpy(self.state.random_sample(size)).float()
