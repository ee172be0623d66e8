"""Segment ids as colors, the way COCO's panoptic PNGs hold them."""

from __future__ import annotations

import numpy as np

__all__ = ["encode_segment_ids"]


def encode_segment_ids(ids: np.ndarray) -> np.ndarray:
    """Segment ids as colors, R + 256 G + 256^2 B.

    Args:
        ids: (H, W) integers, 0 to 2^24 - 1.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: An id does not fit.
    """
    if ids.min(initial=0) < 0 or ids.max(initial=0) >= 2**24:
        raise ValueError("Segment ids must lie in 0 to 2^24 - 1 to fit a PNG.")
    ids = ids.astype(np.int32)
    return np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
