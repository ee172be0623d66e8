from __future__ import annotations

import mmcv
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, resize

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


def labelled(height, width, seed=0):
    rng = np.random.default_rng(seed)
    sample = SegDataSample(metainfo={"ori_shape": (height, width)})
    truth = rng.integers(0, 5, (1, height, width))
    sample.gt_sem_seg = PixelData(data=torch.from_numpy(truth))
    return (
        torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8)),
        sample,
        truth[0],
    )


@pytest.mark.parametrize("size", [(480, 640), (333, 500), (500, 375), (64, 64), (20, 90), (37, 11)])
@pytest.mark.parametrize("side", [64, 96])
def test_squares_are_torchvisions(size, side):
    image, sample, truth = labelled(*size)
    expected = Image.fromarray(image.permute(1, 2, 0).numpy())
    expected = center_crop(resize(expected, side, InterpolationMode.BICUBIC), side)
    mask = Image.fromarray(truth.astype(np.uint8))
    mask = center_crop(resize(mask, side, InterpolationMode.NEAREST), side)
    data = ImagePreprocessor(side, 100, "bicubic", square=True)(
        {"inputs": [image], "data_samples": [sample]}
    )
    np.testing.assert_array_equal(data["inputs"][0].permute(1, 2, 0).numpy(), np.array(expected))
    np.testing.assert_array_equal(sample.gt_sem_seg.data[0].numpy(), np.array(mask))
    assert sample.ori_shape == sample.img_shape == (side, side)
    assert data["originals"][0].shape[-2:] == (min(size), min(size))


def test_pictures_without_a_ground_truth_are_not_cut():
    image, _, _ = labelled(40, 60)
    sample = SegDataSample()
    data = ImagePreprocessor(20, 100, "bicubic", square=True)(
        {"inputs": [image], "data_samples": [sample]}
    )
    assert data["inputs"][0].shape == (3, 20, 30)
    assert sample.ori_shape == (40, 60)
