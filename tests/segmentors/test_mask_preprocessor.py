"""Images for models that are trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmseg.structures import SegDataSample
from PIL import Image

from ovseg.segmentors import MaskPreprocessor
from ovseg.segmentors.mask_preprocessor import normalized, pad_to, padded_size

MEAN, STD = (0.5, 0.25, 0.0), (0.5, 0.25, 1.0)


def build(**settings):
    return MaskPreprocessor(MEAN, STD, **settings)


@pytest.mark.parametrize(
    ("size", "divisor", "expected"),
    [
        ((1, 1), 32, (32, 32)),
        ((32, 64), 32, (32, 64)),
        ((33, 65), 32, (64, 96)),
        ((5, 7), 1, (5, 7)),
    ],
)
def test_padded_size(size, divisor, expected):
    assert padded_size(*size, divisor) == expected


def test_normalized():
    image = torch.tensor([255, 0, 51], dtype=torch.uint8)[:, None, None]
    assert normalized(image, MEAN, STD).flatten().tolist() == pytest.approx([1.0, -1.0, 0.2])


def test_pad_to_keeps_the_upper_left():
    found = pad_to(torch.ones(2, 3, 4, dtype=torch.bool), (5, 6))
    assert found.dtype == torch.bool and found[:, :3, :4].all() and found.sum() == 24


def test_one_batch_while_training():
    images = [torch.full((3, *size), 255, dtype=torch.uint8) for size in ((20, 40), (33, 10))]
    samples = [SegDataSample(), SegDataSample()]
    found = build()({"inputs": images, "data_samples": samples}, training=True)
    assert found["inputs"].shape == (2, 3, 64, 64)
    assert found["inputs"][0, 0, 19, 39] == 1.0 and (found["inputs"][1, :, 33:] == 0).all()
    assert samples[0].batch_input_shape == (64, 64)


def test_images_are_resized_as_detectron2_does_while_testing():
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 30, 50), dtype=np.uint8))
    model = build(short_side=12, long_side=100, interpolation="bilinear_antialias")
    found = model({"inputs": [image], "data_samples": [SegDataSample()]})
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    expected = np.asarray(picture.resize((20, 12), Image.Resampling.BILINEAR))
    assert (found["inputs"][0].permute(1, 2, 0).numpy() == expected).all()
    assert found["data_samples"][0].ori_shape == (30, 50)
