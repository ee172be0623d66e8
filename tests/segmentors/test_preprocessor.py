from __future__ import annotations

import mmcv
import numpy as np
import pytest
import torch
from mmseg.structures import SegDataSample

from ovseg.segmentors import ImagePreprocessor
from ovseg.segmentors.preprocessor import protocol_size


@pytest.mark.parametrize(
    ("height", "width", "short", "long", "expected"),
    [
        (480, 640, 336, 2048, (336, 448)),
        (640, 480, 336, 2048, (448, 336)),
        (1024, 2048, 560, 2048, (560, 1120)),
        (100, 1000, 336, 2048, (205, 2048)),  # the long side wins
        (1, 1, 336, 2048, (336, 336)),
        (10, 20000, 336, 2048, (1, 2048)),
        (3, 20000, 336, 2048, (1, 2048)),  # never less than a pixel
        (333, 500, None, None, (333, 500)),
        (333, 500, 336, None, (336, 505)),
    ],
)
def test_protocol_size(height, width, short, long, expected):
    assert protocol_size(height, width, short, long) == expected


@pytest.mark.parametrize("size", [(480, 640), (333, 500), (427, 640), (612, 612), (120, 999)])
def test_sizes_and_pixels_are_mmcvs(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = mmcv.imrescale(image, (2048, 336))
    resized = ImagePreprocessor(336, 2048).resize(torch.from_numpy(image).permute(2, 0, 1))
    np.testing.assert_array_equal(resized.permute(1, 2, 0).numpy(), expected)


def test_images_of_different_sizes_stay_apart_and_remember_their_size():
    images = [torch.zeros(3, 60, 80, dtype=torch.uint8), torch.zeros(3, 90, 30, dtype=torch.uint8)]
    samples = [SegDataSample(), SegDataSample(metainfo={"ori_shape": (180, 60)})]
    data = ImagePreprocessor(32, 100)({"inputs": images, "data_samples": samples})
    assert [tuple(i.shape) for i in data["inputs"]] == [(3, 32, 43), (3, 96, 32)]
    assert [s.img_shape for s in samples] == [(32, 43), (96, 32)]
    assert [s.ori_shape for s in samples] == [(60, 80), (180, 60)]
