"""Results on disk: files that are whole or absent, label PNGs, the JSON record with its RLEs."""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ovseg.errors import ResultError, SaveError

__all__ = [
    "FORMATS",
    "INSTANCE_FORMAT",
    "PANOPTIC_FORMAT",
    "RECORD_FORMAT",
    "decode_rles",
    "encode_jpeg",
    "encode_mask",
    "encode_png",
    "encode_record",
    "encode_rles",
    "png_void",
    "read_record",
    "write_files",
]

RECORD_FORMAT = "ovseg.segmentation/1"
PANOPTIC_FORMAT = "ovseg.panoptic/1"
INSTANCE_FORMAT = "ovseg.instances/1"
FORMATS = (RECORD_FORMAT, PANOPTIC_FORMAT, INSTANCE_FORMAT)
"""What the JSON files of results say they are."""


_READERS = {
    RECORD_FORMAT: "SegmentationResult.load",
    PANOPTIC_FORMAT: "PanopticResult.load",
    INSTANCE_FORMAT: "InstanceResult.load",
}


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write files so that each is whole or absent, also when the disk fills or the power fails.

    All are written under temporary names first and renamed, in the given order, once everything is
    on the disk: put the file that says "done" last. Missing folders are made.

    Raises:
        SaveError: something cannot be written; what was there before is still there.
    """
    staged: list[tuple[Path, Path]] = []
    path = None
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Short whatever the name, so that the longest allowed file names stay writable.
            temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
            staged.append((temporary, path))
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        while staged:
            temporary, path = staged[0]
            os.replace(temporary, path)
            staged.pop(0)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SaveError(
            f"Cannot write {path} ({reason}); free space or choose another output folder, "
            "files written earlier are kept."
        ) from error
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)


def png_void(num_classes: int) -> int:
    """Value of void pixels in a label PNG: 255 up to 255 classes (8 bits), else 65535 (16 bits)."""
    return 255 if num_classes <= 255 else 65535


def encode_mask(mask: np.ndarray, num_classes: int, void: int | None) -> bytes:
    """Label map as a grey PNG: 8 bits up to 255 classes, else 16 bits; see ``png_void`` for void.

    Args:
        mask: (H, W) integers, 0 <= label < num_classes, or ``void``.
        num_classes: number of classes, at most 65535.
        void: the label of pixels without a class, or None.

    Raises:
        ResultError: there are more than 65535 classes.
    """
    if num_classes > 65535:
        raise ResultError(
            f"{num_classes} classes do not fit a 16-bit PNG (at most 65535); save without the mask."
        )
    dtype = np.uint8 if num_classes <= 255 else np.uint16
    labels = mask
    if void is not None:
        labels = np.where(mask == void, png_void(num_classes), mask)
    return encode_png(labels.astype(dtype))


def encode_png(picture: np.ndarray) -> bytes:
    """A PNG of (H, W, 3) uint8 RGB, or of (H, W) uint8 or uint16 grey; lossless."""
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 4])[1].tobytes()


def encode_jpeg(picture: np.ndarray) -> bytes:
    """A JPEG of (H, W, 3) uint8 RGB, at a quality that keeps small letters clean."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 93])[1].tobytes()


def encode_rles(mask: np.ndarray, labels: Iterable[int]) -> dict[int, dict[str, Any]]:
    """COCO's compressed run-length encodings of several labels, in one pass over the mask.

    Args:
        mask: (H, W) integers.
        labels: which to encode; each must occur.

    Returns:
        By label ``{"size": [H, W], "counts": str}``, what ``pycocotools.mask.encode`` makes of
        ``mask == label``.
    """
    from pycocotools import mask as coco_mask

    height, width = mask.shape
    flat = mask.ravel(order="F")  # COCO counts down the columns
    cuts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts, ends = np.append(0, cuts), np.append(cuts, flat.size)
    order = np.argsort(flat[starts], kind="stable")
    starts, ends = starts[order], ends[order]
    values = flat[starts]
    encoded = {}
    for label in labels:
        first, last = (np.searchsorted(values, label, side=side) for side in ("left", "right"))
        bounds = np.stack([starts[first:last], ends[first:last]], axis=1).ravel()
        counts = np.diff(bounds, prepend=0, append=flat.size).tolist()
        if counts[-1] == 0:
            counts.pop()
        plain = {"size": [height, width], "counts": counts}
        rle = coco_mask.frPyObjects(plain, height, width)
        encoded[label] = {"size": [height, width], "counts": rle["counts"].decode("ascii")}
    return encoded


def decode_rles(
    rles: Mapping[int, Mapping[str, Any]], shape: tuple[int, int], fill: int
) -> np.ndarray:
    """Label map of run-length encodings that do not overlap.

    Args:
        rles: ``{"size": [H, W], "counts": str}`` by label.
        shape: (H, W).
        fill: label of the pixels no encoding covers.

    Returns:
        (H, W) int32.

    Raises:
        ValueError: an encoding has another size, is damaged, or overlaps another.
    """
    starts, ends, labels = [], [], []
    size = shape[0] * shape[1]
    for label, rle in rles.items():
        if list(rle["size"]) != list(shape):
            raise ValueError(f"the mask of class {label} has another size")
        bounds = np.cumsum(_counts(rle["counts"]))
        if len(bounds) == 0 or bounds[-1] > size or (np.diff(bounds) < 0).any():
            raise ValueError(f"the mask of class {label} is no run-length encoding of this size")
        starts.append(bounds[0:-1:2])
        ends.append(bounds[1::2])
        labels.append(np.full(len(bounds) // 2, label))
    flat = np.full(size, fill, dtype=np.int32)
    if starts:
        start, end, label = (np.concatenate(parts) for parts in (starts, ends, labels))
        order = np.argsort(start, kind="stable")
        start, end, label = start[order], end[order], label[order]
        if (start[1:] < end[:-1]).any():
            raise ValueError("the masks of two classes overlap")
        # Runs and the gaps between them by turns, as one sequence.
        edges = np.append(np.stack([start, end], axis=1).ravel(), size)
        values = np.full(len(edges), fill, dtype=np.int32)
        values[1:-1:2] = label
        flat = np.repeat(values, np.diff(edges, prepend=0))
    return np.ascontiguousarray(flat.reshape(shape, order="F"))


def _counts(text: str) -> list[int]:
    """Run lengths of COCO's compressed form: groups of 5 bits, from the third on as differences."""
    counts: list[int] = []
    value = shift = 0
    for code in text.encode("ascii"):
        bits = code - 48
        if not 0 <= bits < 64:
            raise ValueError("a run-length encoding holds a foreign character")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:  # the last group says the sign
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("a run-length encoding is cut short")
    return counts


def encode_record(record: Mapping[str, Any]) -> bytes:
    """A JSON record as UTF-8; NumPy values become plain ones, NaN becomes null."""
    text = json.dumps(_plain(record), ensure_ascii=False, indent=1, allow_nan=False)
    return (text + "\n").encode("utf-8", "backslashreplace")


def read_record(path: str | os.PathLike, kind: str = RECORD_FORMAT) -> dict[str, Any]:
    """Read the JSON record of a saved result of one kind, one of `FORMATS`.

    Raises:
        FileNotFoundError: there is no such file.
        ResultError: the file is damaged or is not such a record.
    """
    try:
        record = json.loads(Path(path).read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} does not exist; name the .json file a result was saved to."
        ) from None
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read as JSON ({error}); save it again.") from error
    found = record.get("format") if isinstance(record, dict) else None
    if found != kind:
        reader = _READERS.get(found) if isinstance(found, str) else None
        raise ResultError(
            f"{path} is not a saved segmentation (format {found!r}, not {kind!r}); "
            "name the .json file a result was saved to."
            + (f" {reader} reads this one." if reader else "")
        )
    return record


def _plain(value: Any) -> Any:
    """The value in JSON's own types; what has none is written as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)
