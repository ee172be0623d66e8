"""From whatever a user has to pixels: one form, RGB uint8 (H, W, 3), or one clear error."""

from __future__ import annotations

import glob
import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ovseg.errors import ImageError
from ovseg.utils.images import decode_image, to_rgb

__all__ = ["IMAGE_SUFFIXES", "ImageInput", "as_list", "list_images", "load_image"]

IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .dib .gif .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif .tiff "
    ".webp".split()
)
"""File name endings by which images are found in folders and globs (in lower case)."""


class ImageInput(NamedTuple):
    """One image, ready: ``pixels`` (H, W, 3) uint8 RGB, and what to call it (or None)."""

    pixels: np.ndarray
    name: str | None


def as_list(images: Any) -> tuple[list[Any], bool]:
    """Split what a user passed into single inputs, without reading any of them.

    Args:
        images: one input of ``load_image``, a list or tuple of them, or a batch: a 4-D array
            (B, H, W, C) or tensor (B, C, H, W).

    Returns:
        The inputs, and whether it was a single one (which asks for a single result).

    Raises:
        ImageError: the list is empty.
    """
    if isinstance(images, (list, tuple)) and not isinstance(images, ImageInput):
        if not images:
            raise ImageError("The list of images is empty; give at least one image.")
        return list(images), False
    if (isinstance(images, np.ndarray) or _is_tensor(images)) and images.ndim == 4:
        if not len(images):
            raise ImageError("The batch of images is empty; give at least one image.")
        return list(images), False
    return [images], True


def load_image(source: Any, name: str | None = None) -> ImageInput:
    """Bring one image into the form models take.

    Grey becomes RGB, 16 bits are divided by 257, transparent pixels are laid over white, and
    photographs are turned upright by their EXIF orientation (so the result has the upright size).

    Args:
        source: one of

            - a path (str or Path) to an image file of any kind Pillow reads;
            - a binary file open for reading, or the bytes of an image file;
            - a PIL image, of any mode;
            - a NumPy array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA: uint8, uint16, bool,
              or floating point in 0..1. OpenCV's BGR must be turned into RGB first;
            - a torch tensor (1, H, W), (3, H, W) RGB or (4, H, W) RGBA: uint8, bool or floating
              point in 0..1, on any device;
            - an ``ImageInput``, which passes unchanged.
        name: what to call it in errors and results; by default its path or the file's own name.

    Returns:
        The pixels, and the name.

    Raises:
        FileNotFoundError: a path where nothing is.
        ImageError: everything that is not an image; the message says what it is and the remedy.
    """
    if isinstance(source, ImageInput):
        return source
    name = name or _name_of(source)
    if isinstance(source, (str, os.PathLike)):
        if "://" in os.fspath(source):
            raise ImageError(f"{name} is a web address; download the image and give its path.")
        return ImageInput(decode_image(source, name=name), name)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return ImageInput(decode_image(source, name=name), name)
    if isinstance(source, Image.Image):
        return ImageInput(_from_pil(source, name or "a PIL image"), name)
    if isinstance(source, np.ndarray):
        return ImageInput(_from_array(source, name or "an array"), name)
    if _is_tensor(source):
        return ImageInput(_from_tensor(source, name or "a tensor"), name)
    if callable(getattr(source, "read", None)):
        return ImageInput(_from_file(source, name), name)
    raise ImageError(
        f"An image cannot be made of {type(source).__name__}; give a path, an open file, bytes, "
        "a PIL image, a NumPy array (H, W, 3) or a tensor (3, H, W)."
    )


def list_images(
    patterns: str | os.PathLike | Iterable[str | os.PathLike], recursive: bool = False
) -> list[Path]:
    """Image files from files, folders and globs, in order and each once.

    Args:
        patterns: paths. A file is taken whatever its name; a folder gives the files in it that are
            named like images (``IMAGE_SUFFIXES``), sorted; so does a glob (``*``, ``?``, ``[ab]``,
            ``**`` for any folders). A leading ``~`` is the home folder.
        recursive: also take what lies in sub-folders of the folders.

    Raises:
        FileNotFoundError: a path where nothing is, or a pattern or folder without any image.
    """
    if isinstance(patterns, (str, os.PathLike)):
        patterns = [patterns]
    unique: dict[str, Path] = {}
    for pattern in patterns:
        for path in expand(pattern, recursive)[1]:
            unique.setdefault(os.path.abspath(path), path)
    if not unique:
        raise FileNotFoundError("No images were given; name files, folders or globs.")
    return list(unique.values())


def expand(pattern: str | os.PathLike, recursive: bool) -> tuple[Path | None, list[Path]]:
    """One entry of ``list_images``: the folder its files lie under (None for a file), and they.

    Raises:
        FileNotFoundError: nothing is there.
    """
    text = os.path.expanduser(os.fspath(pattern))
    path = Path(text)
    if path.is_dir():
        found = path.rglob("*") if recursive else path.iterdir()
        images = sorted(p for p in found if _named_like_image(p))
        if not images:
            deeper = "" if recursive else " itself (look into sub-folders with recursive)"
            raise FileNotFoundError(f"There is no image in the folder {path}{deeper}.")
        return path, images
    if path.exists():  # also a file whose name has the signs of a glob in it
        return None, [path]
    if glob.has_magic(text):
        images = [Path(p) for p in sorted(glob.glob(text, recursive=True))]
        images = [p for p in images if _named_like_image(p)]
        if not images:
            raise FileNotFoundError(f"No image matches {text}; check the pattern and its folder.")
        fixed = 0
        while not glob.has_magic(path.parts[fixed]):
            fixed += 1
        return Path(*path.parts[:fixed]), images
    if "://" in text:
        raise FileNotFoundError(f"{text} is a web address; download the image and give its path.")
    raise FileNotFoundError(f"{text} does not exist; check the path.")


def _named_like_image(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return path.suffix.lower() in IMAGE_SUFFIXES and not hidden and path.is_file()


def _name_of(source: Any) -> str | None:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    given = getattr(source, "name", None) or getattr(source, "filename", None)
    return given if isinstance(given, str) and given else None


def _is_tensor(value: Any) -> bool:
    """Whether it is a torch tensor; where torch was never imported nothing is."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _from_file(file: Any, name: str | None) -> np.ndarray:
    data = file.read()
    if isinstance(data, str):
        raise ImageError(f"{name or 'The file'} is open as text; open it with mode 'rb'.")
    return decode_image(io.BytesIO(data), name=name)


def _from_pil(image: Image.Image, name: str) -> np.ndarray:
    if 0 in image.size:
        raise ImageError(f"{name} has no pixels (size {image.size}); give a larger image.")
    try:
        return to_rgb(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError) as error:  # Pillow decodes only now
        raise ImageError(
            f"Image {name} is damaged or cut short ({error}); fetch or write it again."
        ) from error


def _from_tensor(tensor: Any, name: str) -> np.ndarray:
    shape = tuple(tensor.shape)
    if len(shape) != 3 or shape[0] not in (1, 3, 4):
        hint = "; permute it with .permute(2, 0, 1)" if len(shape) == 3 else ""
        raise ImageError(f"A tensor image must be (3, H, W), {name} has the shape {shape}{hint}.")
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # NumPy knows no bfloat16
    return _from_array(tensor.permute(1, 2, 0).numpy(), name, kind="tensor")


def _from_array(array: np.ndarray, name: str, kind: str = "array") -> np.ndarray:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        hint = "; put channels last with .transpose(1, 2, 0)" if first else ""
        raise ImageError(
            f"An {kind} image must be (H, W, 3) in RGB, {name} has the shape {array.shape}{hint}."
        )
    if array.size == 0:
        raise ImageError(f"{name} has no pixels (shape {array.shape}); give a larger image.")
    pixels = _to_bytes(array, name)
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] == 4:
        return to_rgb(Image.fromarray(np.ascontiguousarray(pixels)))
    # A copy: what the caller does to the array later must not change the result.
    return np.array(pixels, order="C")


def _to_bytes(array: np.ndarray, name: str) -> np.ndarray:
    """Values of any allowed dtype as uint8."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return np.rint(array / np.float32(257)).astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())  # NaN if any value is
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ImageError(f"{name} holds values that are not finite; replace NaN and infinity.")
        if low < -1e-6 or high > 1 + 1e-6:
            raise ImageError(
                f"Floating-point pixels must lie in 0..1, {name} goes from {low:g} to {high:g}; "
                "divide by 255 or undo the normalization."
            )
        return np.rint(np.clip(array, 0, 1).astype(np.float32) * 255).astype(np.uint8)
    raise ImageError(
        f"Pixels must be uint8, uint16, bool or floating point in 0..1, {name} is {array.dtype}; "
        "convert it, for example with .astype(np.uint8)."
    )
