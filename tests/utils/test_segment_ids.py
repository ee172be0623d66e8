"""Ids survive the way through a PNG."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ovseg.datasets.labels import read_panoptic_ids
from ovseg.utils.segment_ids import encode_segment_ids


def test_there_and_back(tmp_path):
    ids = np.array([[0, 1, 255], [256, 65536, 2**24 - 1]], np.int64)
    Image.fromarray(encode_segment_ids(ids)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_panoptic_ids(tmp_path / "a.png"), ids)


@pytest.mark.parametrize("wrong", [-1, 2**24])
def test_ids_that_do_not_fit(wrong):
    with pytest.raises(ValueError, match="2\\^24 - 1"):
        encode_segment_ids(np.array([[wrong]]))
