"""Class names and colors of the benchmarks that mmseg does not know.

The names are read from the lists of `ovseg/text/names`, which every vocabulary of the package is
made of: one file tells both what a class is called and what it is asked for by.
"""

from __future__ import annotations

import json
from importlib import resources

__all__ = ["benchmark_classes", "benchmark_palette", "benchmark_things"]


def benchmark_classes(name: str) -> tuple[str, ...]:
    """Display names of a built-in list (``"ade20k-847"``) in the order of its labels."""
    content = _read(name)
    names = [line.split("; ")[0] for line in content["default"]]
    if content["background"]:
        names[0] = "background"
    return tuple(names)


def benchmark_things(name: str) -> tuple[int, ...]:
    """Indices of the things of a built-in list that tells things from stuff."""
    return tuple(_read(name)["things"])


def _read(name: str) -> dict:
    path = resources.files("ovseg").joinpath("text", "names", f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))


def benchmark_palette(num_classes: int, first: int = 1) -> list[list[int]]:
    """Colors of the map of the PASCAL VOC devkit, which goes on for any number of classes.

    The bits of a label are dealt to red, green and blue in turn, from the highest bit of each
    channel down; no two of 2^24 labels get the same color.

    Args:
        num_classes: How many colors.
        first: Label of the first; 0 is black.

    Returns:
        ``num_classes`` lists of R, G, B (0 to 255).
    """
    palette = []
    for label in range(first, first + num_classes):
        color = [0, 0, 0]
        for bit in range(24):
            color[bit % 3] |= (label >> bit & 1) << (7 - bit // 3)
        palette.append(color)
    return palette
