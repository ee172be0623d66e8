"""Regions of COCO's annotation files: polygons and run-length encodings."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as rle

from ovseg.apis.storage import decode_rles


def region_of(shape: object, height: int, width: int) -> np.ndarray:
    """Pixels of a ``segmentation``: (H, W) bool.

    Args:
        shape: Polygons, or a run-length encoding of COCO's, compressed or not.
        height: Height of the image.
        width: Its width.

    Raises:
        ValueError: It is none of these, damaged, or of another size than the image.
    """
    if isinstance(shape, list):
        try:
            return rle.decode(rle.merge(rle.frPyObjects(shape, height, width))).astype(bool)
        except Exception as error:  # pycocotools raises whatever a wrong list leads it into
            raise ValueError(
                "its polygons are not lists of three or more points x, y in pixels"
            ) from error
    if not isinstance(shape, dict) or not {"size", "counts"} <= shape.keys():
        raise ValueError("it has neither polygons nor a run-length encoding of size and counts")
    counts = shape["counts"]
    if shape["size"] != [height, width]:
        raise ValueError(
            f"its run-length encoding is of size {shape['size']} but the image of {[height, width]}"
        )
    if isinstance(counts, str):
        try:
            return decode_rles({1: shape}, (height, width), fill=0) == 1
        except ValueError as error:
            raise ValueError("its run-length encoding is damaged") from error
    if (
        not isinstance(counts, list)
        or not all(type(count) is int and count >= 0 for count in counts)
        or sum(counts) != height * width
    ):
        raise ValueError("the runs of its encoding do not add up to the pixels of the image")
    inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return inside.reshape((height, width), order="F")
