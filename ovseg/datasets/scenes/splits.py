"""Which seeds are whose: the first number of a scene's seed names its split.

Splits never share a scene, whatever their lengths.
"""

from __future__ import annotations

from ovseg.errors import DatasetError

SPLITS = {
    "val": 0,  # the benchmark
    "train": 1,
    "check": 2,  # looked at while training
    "unseen": 3,  # the benchmark of what was held out, drawn from the world "unseen"
    "samples": 4,  # the pictures that come with the demo
    "tokenizer": 99,  # the captions that byte pairs were learned from
}


def split_number(split: str | int) -> int:
    """The first number of the seeds of a split, given by name or as that number.

    Raises:
        DatasetError: for unknown names and negative numbers.
    """
    if split in SPLITS:
        return SPLITS[split]
    if isinstance(split, str) or isinstance(split, bool) or split < 0:
        raise DatasetError(
            f"the scenes have no split {split!r}: name one of {', '.join(SPLITS)}, "
            "or give a number from 0 up"
        )
    return int(split)


def split_name(split: str | int) -> str:
    """The name of a split, or its number where it has none."""
    number = split_number(split)
    return {n: name for name, n in SPLITS.items()}.get(number, str(number))
