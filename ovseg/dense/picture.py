"""What the steps are handed: whole pictures, and windows of them that are read together."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch

from ovseg.dense.windows import Window

T = TypeVar("T")


class Picture:
    """One image on its way through the steps.

    Attributes:
        pixels: (3, H, W) uint8 RGB at the protocol's size.
        original: (3, H0, W0) uint8 RGB as it came, for encoders that want all of its pixels.
    """

    def __init__(self, pixels: torch.Tensor, original: torch.Tensor | None = None) -> None:
        self.pixels = pixels
        self.original = pixels if original is None else original
        self._known: dict[Hashable, Any] = {}

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) at the protocol's size."""
        return tuple(self.pixels.shape[-2:])

    def normalized(self, encoder) -> torch.Tensor:
        """(3, H, W) float32 as an encoder with ``mean`` and ``std`` wants to see it."""
        return self.once((encoder.mean, encoder.std), lambda: normalize(self.pixels, encoder))

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What ``compute`` gives, computed at the first call with this key and kept.

        Steps that look at the picture with the same encoder share what it saw.
        """
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]


def normalize(pixels: torch.Tensor, encoder) -> torch.Tensor:
    """Pixels (3, H, W) of 0 to 255 with an encoder's ``mean`` and ``std`` (of 0 to 1) applied."""
    mean = torch.tensor(encoder.mean, device=pixels.device).view(3, 1, 1)
    std = torch.tensor(encoder.std, device=pixels.device).view(3, 1, 1)
    return (pixels.float() / 255 - mean) / std


class WindowBatch:
    """Windows of one padded size, of one or several pictures, that are read together.

    Attributes:
        pictures: B pictures, with repetitions.
        windows: B windows, each of its picture.
    """

    def __init__(self, pictures: list[Picture], windows: list[Window]) -> None:
        self.pictures, self.windows = pictures, windows

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def padded_size(self) -> tuple[int, int]:
        """(h, w) of every window with its padding, in pixels."""
        return self.windows[0].padded_size

    def pixels(self, encoder) -> torch.Tensor:
        """(B, 3, h, w) float32 as ``encoder`` wants to see them; the padding is its mean color."""
        return torch.stack(
            [
                window.cut(picture.normalized(encoder))
                for picture, window in zip(self.pictures, self.windows, strict=True)
            ]
        )
