from __future__ import annotations

import numpy as np
import pytest

from ovseg.datasets.scenes.splits import SPLITS, split_name, split_number
from ovseg.errors import DatasetError


@pytest.mark.parametrize(
    ("split", "number", "name"),
    [
        ("val", 0, "val"),
        (0, 0, "val"),
        ("train", 1, "train"),
        ("check", 2, "check"),
        (7, 7, "7"),
        (np.int64(7), 7, "7"),
    ],
)
def test_names_and_numbers(split, number, name):
    assert split_number(split) == number
    assert split_name(split) == name


@pytest.mark.parametrize("split", ["test", "", -1, True])
def test_unknown_splits_are_refused(split):
    with pytest.raises(DatasetError, match=r"no split .*val, train, check"):
        split_number(split)


def test_no_two_splits_share_scenes():
    assert len(set(SPLITS.values())) == len(SPLITS)
