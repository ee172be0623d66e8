"""A model that needs no weights, and pictures to give it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ovseg.apis import SegmentationResult

NAMES = ("red", "green", "blue")


class ColorModel:
    """Gives each pixel the class of its strongest channel; counts what it was asked."""

    def __init__(self):
        self.batches = []

    def segment(self, images, classes=None, *, batch_size=1):
        self.batches.append(len(images))
        assert batch_size == len(images)
        names = NAMES if classes is None else tuple(getattr(classes, "classes", classes))
        return [
            SegmentationResult(
                mask=image.argmax(axis=-1) % len(names),
                classes=names,
                scores=np.full(len(names), 0.5),
                info={"model": "by color"},
            )
            for image in images
        ]


@pytest.fixture
def color_model():
    return ColorModel()


@pytest.fixture
def make_image(tmp_path):
    """Writes a small picture of red, green and blue areas; its numbers differ by ``seed``."""

    def make(name, seed=0, size=(40, 60)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 60, (*size, 3), dtype=np.uint8)
        thirds = np.array_split(np.arange(size[1]), 3)
        for channel, columns in enumerate(thirds):
            pixels[:, columns, channel] = 220
        Image.fromarray(pixels).save(path)
        return path

    return make
