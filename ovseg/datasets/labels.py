"""Turning the pixel values of a mask file into class indices, and refusing values that fit none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ovseg.errors import DatasetError
from ovseg.utils.images import DAMAGED, MAX_PIXELS

__all__ = ["LabelReader", "index_lookup", "read_index_mask", "read_panoptic_ids"]

#: Marks raw values that no class and no void value stands for.
INVALID = -2


def index_lookup(
    num_classes: int,
    ignore_index: int = 255,
    *,
    reduce_zero_label: bool = False,
    raw_to_class: Mapping[int, int] | None = None,
    other_raw: int | None = None,
    kept: Sequence[int] | None = None,
) -> np.ndarray:
    """Table from the raw value of a pixel to its class.

    Args:
        num_classes: Classes the masks are drawn with.
        ignore_index: Label of void pixels, in the masks and in the result.
        reduce_zero_label: Raw 0 is void and raw k is class k - 1, as in ADE20K.
        raw_to_class: Explicit table, in place of the identity.
        other_raw: What raw values outside ``raw_to_class`` become; None makes them errors.
        kept: For each class its index in a reduced list of classes, -1 where it was dropped
            (and becomes void).

    Returns:
        (V,) int32, `INVALID` where a raw value stands for nothing.
    """
    if raw_to_class is None:
        shift = int(reduce_zero_label)
        raw_to_class = {k + shift: k for k in range(num_classes)}
        if reduce_zero_label:
            raw_to_class[0] = ignore_index
    size = max(max(raw_to_class), ignore_index, 255) + 1
    table = np.full(size, INVALID if other_raw is None else other_raw, np.int32)
    # A void value that is also a class (255 of 847 classes) is the class.
    if ignore_index >= 0 and ignore_index not in raw_to_class:
        table[ignore_index] = ignore_index
    for raw, label in raw_to_class.items():
        if kept is not None and label != ignore_index:
            label = kept[label] if kept[label] >= 0 else ignore_index
        table[raw] = label
    return table


@dataclass(frozen=True)
class LabelReader:
    """Reads the masks of one dataset.

    Attributes:
        num_classes: Number of classes in the result.
        ignore_index: Label of void pixels in the result.
        lookup: (V,) raw pixel value to class, see `index_lookup`; for panoptic masks category id
            to class.
        panoptic: Whether masks are PNGs of segment ids (R + 256 G + 256^2 B) that come with the
            category of each segment.
    """

    num_classes: int
    ignore_index: int
    lookup: np.ndarray = field(repr=False)
    panoptic: bool = False

    def read(
        self,
        path: str | Path,
        segments: Sequence[tuple] | None = None,
        lookup: np.ndarray | None = None,
    ) -> np.ndarray:
        """Read one mask.

        Args:
            path: The mask file.
            segments: (segment id, category id, ...) of each segment, for panoptic masks.
            lookup: A table for this file alone, where files of a dataset differ.

        Returns:
            (H, W) uint8 where classes and void fit into it, else uint16, else int32.

        Raises:
            DatasetError: The file is missing, unreadable, or holds values outside the classes.
        """
        table = self.lookup if lookup is None else lookup
        if self.panoptic:
            labels = self._from_segments(path, segments or (), table)
        else:
            raw = read_index_mask(path)
            inside = (raw >= 0) & (raw < len(table))  # a negative index would count from the end
            labels = table[np.where(inside, raw, 0)]
            wrong = (labels == INVALID) | ~inside
            if wrong.any():
                values = np.unique(raw[wrong])[:5].tolist()
                raise DatasetError(
                    f"Mask {path} holds the label(s) {', '.join(map(str, values))}, which none of "
                    f"the {self.num_classes} classes stands for; check the list of classes, "
                    "reduce_zero_label and ignore_index of the dataset."
                )
        return labels.astype(self._dtype())

    def _from_segments(
        self, path: str | Path, segments: Sequence[tuple], table: np.ndarray
    ) -> np.ndarray:
        ids = read_panoptic_ids(path)
        present, inverse = np.unique(ids, return_inverse=True)
        category_of = {segment[0]: segment[1] for segment in segments}
        labels = np.full(len(present), self.ignore_index, np.int32)
        for i, segment in enumerate(present.tolist()):
            if segment == 0:  # unlabelled
                continue
            category = category_of.get(segment)
            known = category is not None and 0 <= category < len(table)
            known = known and table[category] != INVALID
            if not known:
                raise DatasetError(
                    f"Mask {path} holds segment {segment}, which its annotation file gives no "
                    "known category; the PNGs and the JSON file belong to different releases."
                )
            labels[i] = table[category]
        return labels[inverse.reshape(ids.shape)]

    def _dtype(self) -> type:
        if self.ignore_index < 0:
            return np.int32
        largest = max(self.num_classes - 1, self.ignore_index)
        return np.uint8 if largest < 256 else np.uint16 if largest < 65536 else np.int32


def _open(path: str | Path) -> Image.Image:
    try:
        image = Image.open(path)
        image.load()
    except FileNotFoundError as error:
        raise DatasetError(
            f"Mask {path} does not exist; check data_root and data_prefix of the dataset."
        ) from error
    except Image.DecompressionBombError as error:
        raise DatasetError(
            f"Mask {path} has more than {MAX_PIXELS} pixels, the most that is read; cut it and its "
            "image into parts."
        ) from error
    except DAMAGED as error:
        raise DatasetError(
            f"Mask {path} cannot be read ({error}); fetch or write it again."
        ) from error
    return image


def read_index_mask(path: str | Path) -> np.ndarray:
    """Raw values of a single-channel mask of 1 to 32 bits; a palette is not applied.

    Returns:
        (H, W) int64.

    Raises:
        DatasetError: The file is missing, unreadable, or has several channels.
    """
    image = _open(path)
    if len(image.getbands()) != 1 or image.mode == "F":
        raise DatasetError(
            f"Mask {path} is an image of mode {image.mode}, not one of class indices; masks have "
            "one integer channel."
        )
    return np.asarray(image).astype(np.int64)


def read_panoptic_ids(path: str | Path) -> np.ndarray:
    """Segment ids of a COCO panoptic PNG, R + 256 G + 256^2 B.

    Returns:
        (H, W) int64.

    Raises:
        DatasetError: The file is missing, unreadable, or not RGB.
    """
    image = _open(path)
    if image.mode not in ("RGB", "RGBA"):
        raise DatasetError(
            f"Mask {path} is an image of mode {image.mode}; panoptic masks are RGB PNGs of ids."
        )
    rgb = np.asarray(image)[..., :3].astype(np.int64)
    return rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]
