"""Entries of annotation files are refused by their place in the file."""

from __future__ import annotations

import pytest

from ovseg.datasets.entries import IDENTIFIER, NUMBER, check_entries
from ovseg.errors import DatasetError

GOOD = dict(id=1, name="a", area=2.5, iscrowd=0)

CASES = {
    # entries, what is wrong with them
    "whole": ([GOOD, {**GOOD, "id": "x", "area": 2, "more": None}], None),
    "without what is optional": ([{k: GOOD[k] for k in ("id", "name", "area")}], None),
    "empty": ([], None),
    "no list": (dict(a=GOOD), "things of FILE is not a list"),
    "no object": ([GOOD, 7], "Entry 1 of things of FILE is 7, not an object"),
    "missing": ([GOOD, dict(id=1, area=2)], "Entry 1 of things of FILE has no 'name'"),
    "another type": ([{**GOOD, "area": "2"}], "has '2' as 'area', not a whole number or a number"),
    "true": ([{**GOOD, "id": True}], "has True as 'id', not a whole number or text"),
    "optional": ([{**GOOD, "iscrowd": [0]}], r"has \[0\] as 'iscrowd', not a whole number"),
    "long": ([{**GOOD, "name": list(range(99))}], r"\.\.\. as 'name', not text"),
}


@pytest.mark.parametrize("case", CASES)
def test_entries(case):
    entries, message = CASES[case]
    arguments = ("things of FILE", dict(id=IDENTIFIER, name=(str,), area=NUMBER))
    if message is None:
        check_entries(entries, *arguments, dict(iscrowd=(int,)))
        return
    with pytest.raises(DatasetError, match=message):
        check_entries(entries, *arguments, dict(iscrowd=(int,)))
