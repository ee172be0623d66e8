"""Segments a mask transformer is trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ovseg.errors import DatasetError
from ovseg.registry import TRANSFORMS

IDS = np.array([[7, 7, 0], [7, 9, 9], [0, 9, 8]], np.int32)
INFO = [
    dict(id=7, category_id=2, isthing=True, iscrowd=False),
    dict(id=9, category_id=0, isthing=False, iscrowd=0),
    dict(id=8, category_id=1, isthing=True, iscrowd=True),
    dict(id=5, category_id=1, isthing=True, iscrowd=False),  # cut away
]


def pack(settings=(), **truth):
    results = dict(img=np.zeros((3, 3, 3), np.uint8), img_path="b.jpg", ori_shape=(9, 9), **truth)
    return TRANSFORMS.build(dict(type="PackSegments", **dict(settings)))(results)


@pytest.mark.parametrize(
    "info, least, labels",
    [
        (INFO, 1, [2, 0]),
        (INFO[::-1], 1, [0, 2]),
        (INFO[2:], 1, []),  # a crowd, and what is not there
        ([dict(INFO[0]), dict(id=8, category_id=4)], 2, [2]),
        ([], 1, []),  # an image without any annotation
    ],
)
def test_panoptic_segments(info, least, labels):
    packed = pack(dict(least=least), gt_panoptic=IDS, segments_info=info)
    sample = packed["data_samples"]
    found = sample.gt_segments
    assert found.labels.dtype == torch.int64
    assert found.labels.tolist() == labels
    assert found.masks.dtype == torch.bool
    assert found.masks.shape == (len(labels), 3, 3)
    by_class = {s["category_id"]: s["id"] for s in info}
    for label, mask in zip(labels, found.masks, strict=True):
        np.testing.assert_array_equal(mask, IDS == by_class[label])
    assert packed["inputs"].shape == (3, 3, 3)
    assert sample.img_path == "b.jpg"
    assert sample.ori_shape == (9, 9)


def test_classes_are_segments_where_there_are_no_others():
    found = pack(gt_seg_map=np.where(IDS == 0, 255, IDS))["data_samples"].gt_segments
    assert found.labels.tolist() == [7, 8, 9]
    assert found.masks.sum().item() == 7
    void = pack(gt_seg_map=np.full((3, 3), 255))["data_samples"].gt_segments
    assert void.masks.shape == (0, 3, 3)


@pytest.mark.parametrize(
    "truth, message",
    [
        (dict(), "no ground truth to train on"),
        (dict(gt_panoptic=IDS[:2], segments_info=[]), "3 x 2 pixels but its picture is 3 x 3"),
    ],
)
def test_truth_that_is_missing_or_does_not_fit(truth, message):
    with pytest.raises(DatasetError, match=message):
        pack(**truth)
