"""What the steps are handed: whole pictures, and windows of them that are read together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch.nn import functional as F

from ovseg.dense.windows import Window

T = TypeVar("T")


class Picture:
    """One image on its way through the steps.

    Attributes:
        pixels: (3, H, W) uint8 RGB at the protocol's size.
        original: (3, H0, W0) uint8 RGB as it came, for encoders that want all of its pixels.
        size: (H', W') at which it is read: that of ``pixels``, unless it is stretched.
        foreground: for its windows, once they are read with a `Foreground`: (h, w) probabilities
            that patches show a thing.
        class_tokens: for its windows, where they are asked for: (E,) unit features.
    """

    def __init__(
        self,
        pixels: torch.Tensor,
        original: torch.Tensor | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.pixels = pixels
        self.original = pixels if original is None else original
        self.size: tuple[int, int] = tuple(pixels.shape[-2:] if size is None else size)
        self.foreground: dict[Window, torch.Tensor] = {}
        self.class_tokens: dict[Window, torch.Tensor] = {}
        self._known: dict[Hashable, Any] = {}

    def stretched(self, size: tuple[int, int]) -> Picture:
        """The picture to be read at another size (H', W')."""
        if size == self.size:
            return self
        other = Picture(self.pixels, self.original, size)
        # Of one image what was seen of it is one.
        other._known, other.foreground = self._known, self.foreground
        return other

    def normalized(self, encoder) -> torch.Tensor:
        """(3, H', W') float32 as an encoder with ``mean`` and ``std`` wants to see it."""

        def compute():
            image = normalize(self.pixels, encoder)
            if self.size == tuple(image.shape[-2:]):
                return image
            return F.interpolate(image[None], self.size, mode="bilinear", align_corners=False)[0]

        return self.once((encoder.mean, encoder.std, self.size), compute)

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What ``compute`` gives, computed at the first call with this key and kept.

        Steps that look at the picture with the same encoder share what it saw.
        """
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]


def normalize(pixels: torch.Tensor, encoder) -> torch.Tensor:
    """Pixels (3, H, W) of 0 to 255 with an encoder's ``mean`` and ``std`` (of 0 to 1) applied."""
    mean, std = (_of_channels(part, pixels.device) for part in (encoder.mean, encoder.std))
    return (pixels.float() / 255 - mean) / std


@functools.cache
def _of_channels(numbers: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """(3, 1, 1), sent to a device once: what is sent to a GPU waits for it."""
    return torch.tensor(numbers, device=device).view(3, 1, 1)


class WindowBatch:
    """Windows of one padded size, of one or several pictures, that are read together.

    Attributes:
        pictures: B pictures, with repetitions.
        windows: B windows, each of its picture.
    """

    def __init__(self, pictures: list[Picture], windows: list[Window]) -> None:
        self.pictures, self.windows = pictures, windows
        self._read: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def padded_size(self) -> tuple[int, int]:
        """(h, w) of every window with its padding, in pixels."""
        return self.windows[0].padded_size

    def tokens(self, encoder, keep: tuple[int, ...] = (), qkv: tuple[int, ...] = ()):
        """What a CLIP tower makes of the windows up to its last block, read once for all steps.

        Args:
            encoder: the tower (`ovseg.encoders.CLIPViT`).
            keep: blocks whose tokens are wanted as well.
            qkv: blocks, counted from the end, whose queries, keys and values are wanted as well.

        Returns:
            Its `TokenState`, with at least these blocks in ``kept`` and ``qkv``.
        """
        state = self._read.get(id(encoder))
        if state is None or not (set(keep) <= set(state.kept) and set(qkv) <= set(state.qkv)):
            wanted = {"keep": keep, **({"qkv": qkv} if qkv else {})}
            state = self._read[id(encoder)] = encoder.tokens(self.pixels(encoder), **wanted)
        return state

    def pixels(self, encoder) -> torch.Tensor:
        """(B, 3, h, w) float32 as ``encoder`` wants to see them; the padding is its mean color."""
        return torch.stack(
            [
                window.cut(picture.normalized(encoder))
                for picture, window in zip(self.pictures, self.windows, strict=True)
            ]
        )
