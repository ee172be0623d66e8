"""Decoding image files of any kind into one form: RGB, uint8, (H, W, 3)."""

from __future__ import annotations

import io
import os
import struct
import warnings
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ovseg.errors import ImageError, ImageNotFoundError

__all__ = ["decode_image", "to_rgb"]

#: Largest number of pixels that is decoded, where Pillow too draws the line: a small file may be
#: meant to exhaust the memory.
MAX_PIXELS = 178_956_970

#: What Pillow raises where a file is damaged, or is no image.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError)

#: Modes whose values are wider than a byte, and the value that stands for white.
_WIDE_MODES = {"I;16": 65535, "I;16L": 65535, "I;16B": 65535, "I;16N": 65535}


def decode_image(
    source: str | os.PathLike | bytes | BinaryIO,
    *,
    exif: bool = True,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> np.ndarray:
    """Decode an image file.

    Grey, palette, CMYK, 16-bit and floating-point files become 8-bit RGB; 16 bits are divided by
    257, the range of the type, never stretched to the values that occur. Transparent pixels are
    laid over white. Of an animation the first frame is taken.

    Args:
        source: A path, the bytes of a file, or a binary file opened for reading.
        exif: Turn the image upright as its EXIF orientation says. Datasets whose masks are in the
            stored orientation pass False.
        max_pixels: Larger images are refused before they are decoded; at most `MAX_PIXELS`.
        name: What to call the image in errors; by default the path, or the file's own name.

    Returns:
        (H, W, 3) uint8 array in RGB order, contiguous, writable.

    Raises:
        ImageNotFoundError: ``source`` is a path and there is no such file.
        ImageError: The file is empty, no image, cut short, or larger than ``max_pixels``.
    """
    name = name or _name_of(source)
    if isinstance(source, (str, os.PathLike)):
        if not os.path.exists(source):
            raise ImageNotFoundError(f"Image {name} does not exist; check the path.")
        if os.path.isdir(source):
            raise ImageError(f"{name} is a folder, not an image; name the files in it.")
        with open(source, "rb") as file:
            data = file.read()
    elif isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    else:
        data = source.read()
    if not data:
        raise ImageError(f"Image {name} is empty (0 bytes); fetch or write it again.")
    try:
        with warnings.catch_warnings():
            # The size is checked here; half-way to its limit Pillow warns already.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                _check_size(image, max_pixels, name)
                image.load()
                if exif:
                    image = _upright(image)
                return to_rgb(image)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name} is not an image of a kind that Pillow reads; convert it to JPEG or PNG."
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large(name, f"{error}", max_pixels) from error
    except DAMAGED as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(
            f"Image {name} is damaged or cut short ({error}); fetch or write it again."
        ) from error


def to_rgb(image: Image.Image) -> np.ndarray:
    """Turn a Pillow image of any mode into an RGB array.

    Args:
        image: An image of any mode and size; 16-bit greys are scaled by their range, floating
            point is taken as 0..1 where it stays inside, else as 0..255.

    Returns:
        (H, W, 3) uint8 array, contiguous, writable.
    """
    if image.mode in _WIDE_MODES:
        return _stack(np.asarray(image).astype(np.uint32) * 255 / _WIDE_MODES[image.mode])
    if image.mode == "I":  # 32-bit integers: what Pillow makes of 16-bit greys in some formats
        values = np.asarray(image)
        return _stack(values / 257 if values.max(initial=0) > 255 else values)
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        return _stack(values * 255 if values.max(initial=0) <= 1 else values)
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return np.array(Image.alpha_composite(white, layered).convert("RGB"))
    return np.array(image.convert("RGB"))


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; a broken EXIF block does not spoil a good picture."""
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, ValueError, KeyError, TypeError, OSError, struct.error):
        return image


def _stack(grey: np.ndarray) -> np.ndarray:
    grey = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _name_of(source: object) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    given = getattr(source, "name", None)
    return given if isinstance(given, str) else "given as bytes"


def _check_size(image: Image.Image, max_pixels: int, name: str) -> None:
    if image.width * image.height > max_pixels:
        raise _too_large(name, f"{image.width} x {image.height} pixels", max_pixels)


def _too_large(name: str, size: str, max_pixels: int) -> ImageError:
    return ImageError(
        f"Image {name} is too large ({size}, at most {max_pixels} are decoded); shrink it or "
        "cut it into parts."
    )
