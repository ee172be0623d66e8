"""Batches of image-caption pairs for a tower that reads any size: each batch has its own."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from clip_data import Sample, collate, sub_phrases
from torch.utils.data import Dataset

from ovseg.datasets.scenes.caption import caption
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS


class SceneBatches(Dataset):
    """Batch number k as the trainer sees it at step k: images, captions, phrases.

    A batch has one size, and as many pictures as keep its pixels about the same. Zooms do not
    depend on the size, and a quarter of the pictures is drawn at half of it and enlarged, so that
    things and textures are seen at many scales and as sharp or soft as users have them.

    Args:
        steps: of the whole run.
        batch: pictures of the smallest size.
        sizes: sides of the pictures in pixels, used in turn.
        small: share of the run that sees the smallest size only, while words mean little.
        easy: share of the run spent on pictures with a single large thing.
        start: first batch, when a run is resumed.
    """

    def __init__(
        self,
        steps: int,
        batch: int,
        sizes: Sequence[int],
        small: float = 0.5,
        easy: float = 0.2,
        start: int = 0,
    ) -> None:
        self.steps, self.batch, self.sizes = steps, batch, tuple(sizes)
        self.small, self.easy, self.start = small, easy, start

    def __len__(self) -> int:
        return self.steps - self.start

    def count(self, step: int) -> int:
        """Pictures in the batch of a step."""
        return max(1, round(self.batch * (min(self.sizes) / self._size(step)) ** 2))

    def _size(self, step: int) -> int:
        if step < self.small * self.steps:
            return min(self.sizes)
        return self.sizes[step % len(self.sizes)]

    def __getitem__(self, k: int) -> tuple[torch.Tensor, list[str], list[tuple[str, ...]]]:
        if not 0 <= k < len(self):
            raise IndexError(k)
        step = k + self.start
        easy = step < self.easy * self.steps
        numbers = range(step * self.batch, step * self.batch + self.count(step))
        return collate([self._sample(i, self._size(step), easy) for i in numbers])

    def _sample(self, i: int, size: int, easy: bool) -> Sample:
        rng = np.random.default_rng([SPLITS["train"], i, 1])
        zoom = rng.uniform(1.8, 3.2) if easy else rng.uniform(1.3, 3.2)
        drawn = size // 2 if rng.random() < 0.25 else size
        num_things = (1, 1) if easy else (1, 3)
        scene = render((SPLITS["train"], i), drawn, zoom=zoom, num_things=num_things)
        pixels = scene.image[:, ::-1] if rng.random() < 0.5 else scene.image
        if drawn != size:
            pixels = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR)
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        return Sample(image, caption(scene, rng), sub_phrases(scene))
