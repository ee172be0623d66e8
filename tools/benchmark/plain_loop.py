"""A training-free method by its authors' steps, as a user would write them down."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ovseg.dense import Picture

__all__ = ["plain_loop"]


class _Held:
    """A map of all queries at all pixels."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values, self.size, self.num_queries = values, tuple(values.shape[-2:]), len(values)

    def rows(self, start: int, stop: int) -> torch.Tensor:
        return self.values[:, start:stop].clone()

    def select(self, queries: torch.Tensor) -> _Held:
        return _Held(self.values[queries.to(self.values.device)])

    def queries(self, start: int, stop: int) -> _Held:
        return _Held(self.values[start:stop])


@torch.no_grad()
def plain_loop(model: nn.Module, image: np.ndarray) -> torch.Tensor:
    """Labels (H, W) by the authors' steps: window after window, all maps held whole."""
    size = image.shape[:2]
    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    data = model.data_preprocessor({"inputs": [tensor], "data_samples": None}, False)
    picture = Picture(data["inputs"][0], data["originals"][0])
    together, model.window_batch = model.window_batch, 1
    try:
        (logits,) = model.logits([picture])
    finally:
        model.window_batch = together
    if hasattr(logits, "windows"):
        logits = _stitched(logits)
    else:  # one grid of the whole picture
        logits = logits.rows(0, logits.size[0])
    logits = F.interpolate(logits[None], size, mode="bilinear", align_corners=False)[0]
    if model.protocol.softmax == "patches":
        probabilities = logits
    else:
        probabilities = (logits * model.scale).softmax(0)
    if model.refiner is None:
        classes = probabilities.argmax(0)
        return model.query_to_class[classes].int().cpu()
    if model.protocol.softmax == "patches":
        logits = probabilities.clamp(min=torch.finfo(torch.float32).tiny).log() / model.scale
    naming, encoder = model.naming(), model.encoder_of(model.refiner)
    return model.refiner(_Held(logits), picture, naming, size, encoder).labels


def _stitched(logits) -> torch.Tensor:
    """(Q, H, W) mean over windows."""
    total = logits.text.new_zeros(len(logits.text), *logits.size)
    count = logits.text.new_zeros(logits.size)
    for i, window in enumerate(logits.windows):
        patches = logits.patch_logits(i)[None]
        shown = F.interpolate(patches, window.padded_size, mode="bilinear", align_corners=False)[0]
        left, _, top, _ = window.pad
        place = (
            slice(window.top, window.top + window.height),
            slice(window.left, window.left + window.width),
        )
        inside = shown[:, top : top + window.height, left : left + window.width]
        total[:, place[0], place[1]] += inside
        count[place] += 1
    return total / count
