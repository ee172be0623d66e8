"""Step 1, cut: which rectangles of an image the encoder sees.

A window is cut at the image's border, never shrunk into a smaller scale; what is missing to a
whole number of patches is padded with zeros (the mean color of a normalized image), half of it on
each side.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F


@dataclass(frozen=True)
class Window:
    """A rectangle of an image, and the padding that makes it whole patches.

    Attributes:
        top, left, height, width: the rectangle, in pixels of the image.
        pad: pixels added (left, right, top, bottom), in the order of `torch.nn.functional.pad`.
    """

    top: int
    left: int
    height: int
    width: int
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def padded_size(self) -> tuple[int, int]:
        """(H, W) of the padded window in pixels."""
        left, right, top, bottom = self.pad
        return self.height + top + bottom, self.width + left + right

    def cut(self, image: torch.Tensor) -> torch.Tensor:
        """The window's pixels of an image (C, H, W), padded."""
        inside = image[:, self.top : self.top + self.height, self.left : self.left + self.width]
        return F.pad(inside, self.pad) if any(self.pad) else inside


def _starts(length: int, crop: int, stride: int) -> list[int]:
    """First pixels of the windows along one side; the last window ends at the border."""
    count = max(length - crop + stride - 1, 0) // stride + 1
    return [max(min(i * stride, length - crop), 0) for i in range(count)]


def _whole_patches(length: int, patch: int) -> tuple[int, int]:
    missing = -length % patch
    return missing // 2, missing - missing // 2


class SlidingWindows:
    """Overlapping square windows, as in the SCLIP family's evaluation.

    Args:
        crop: side of a window in pixels.
        stride: pixels from one window to the next; at most ``crop``.
    """

    def __init__(self, crop: int, stride: int) -> None:
        if not 0 < stride <= crop:
            raise ValueError(f"stride must be between 1 and crop, got crop {crop}, stride {stride}")
        self.crop, self.stride = crop, stride

    def __call__(self, height: int, width: int, patch: int) -> list[Window]:
        """The windows of an image of this size, row by row."""
        tall, wide = min(self.crop, height), min(self.crop, width)
        pad = (*_whole_patches(wide, patch), *_whole_patches(tall, patch))
        return [
            Window(top, left, tall, wide, pad)
            for top in _starts(height, self.crop, self.stride)
            for left in _starts(width, self.crop, self.stride)
        ]


class WholeImage:
    """One window: the image itself, whatever its size and aspect."""

    def __call__(self, height: int, width: int, patch: int) -> list[Window]:
        """The one window of an image of this size."""
        pad = (*_whole_patches(width, patch), *_whole_patches(height, patch))
        return [Window(0, 0, height, width, pad)]
