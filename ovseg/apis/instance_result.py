"""The value an instance segmentation returns: things with scores, whose masks may overlap."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ovseg.apis import storage
from ovseg.apis.result_base import frozen
from ovseg.apis.segments import SegmentedResult
from ovseg.errors import ResultError

__all__ = ["InstanceResult"]

#: Least score that is painted, unless the caller says otherwise.
THRESHOLD = 0.3


@dataclass(frozen=True, eq=False, repr=False)
class InstanceResult(SegmentedResult):
    """The instances of one image, best first: a sequence of segments that may overlap.

    A value: its arrays are read-only, and two results are equal when masks, labels, scores,
    classes and name are. The PNG that ``save`` writes holds 16-bit numbers of the segments (1 the
    best), the better one on top; 0 is none.

    Attributes:
        masks: (n, H, W) bool.
        labels: (n,) int64, class index of each.
        scores: (n,) float32, score of each, 0..1, NaN where not known.
        classes: the C names of the vocabulary, also of those that do not occur.
        image: (H, W, 3) uint8 RGB, what was segmented, for pictures; None when not kept.
        name: file name or other name of the input.
        info: what made the result.

    Raises:
        ResultError: the fields do not fit each other.

    Example:
        >>> result = InstanceResult(np.ones((1, 2, 2), bool), [0], [0.9], ("cat",))
        >>> result[0].id, result[0].class_name, result[0].area
        (1, 'cat', 4)
    """

    masks: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    classes: tuple[str, ...]
    image: np.ndarray | None = None
    name: str | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    _ARRAYS: ClassVar[tuple[str, ...]] = ("masks", "labels", "scores", "image")

    def __post_init__(self) -> None:
        self._put_common()
        masks = np.asarray(self.masks)
        if masks.ndim != 3 or masks.dtype != np.bool_ or 0 in masks.shape[1:]:
            raise ResultError(
                f"masks must be (n, H, W) bool, not {masks.dtype} of shape {masks.shape}."
            )
        labels = np.asarray(self.labels, np.int64).reshape(-1)
        scores = np.asarray(self.scores, np.float32).reshape(-1)
        if not len(masks) == len(labels) == len(scores):
            raise ResultError(
                f"{len(masks)} masks came with {len(labels)} labels and {len(scores)} scores."
            )
        order = np.argsort(-np.nan_to_num(scores, nan=-1.0), kind="stable")
        if (np.diff(order) != 1).any():
            masks, labels, scores = masks[order], labels[order], scores[order]
        for name, value in (("masks", masks), ("labels", labels), ("scores", scores)):
            self._put(name, frozen(value))
        segments = tuple(
            self._make_segment(i, label, score, int(np.count_nonzero(mask)), True)
            for i, (mask, label, score) in enumerate(
                zip(masks, labels.tolist(), scores.tolist(), strict=True), start=1
            )
        )
        self._put("segments", segments)
        self._put_image(self.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self.masks.shape[1:]

    def mask_of_segment(self, number: int) -> np.ndarray:
        """Pixels of the segment with an id: (H, W) bool.

        Raises:
            ResultError: there is no such segment.
        """
        if not 1 <= number <= len(self.masks):
            raise ResultError(f"there is no segment {number}; see .segments.")
        return self.masks[number - 1]

    def masks_array(self) -> np.ndarray:
        """Masks of all segments, (n, H, W) bool, in their order."""
        return self.masks

    def above(self, threshold: float) -> InstanceResult:
        """Only the instances whose score is at least a threshold."""
        keep = self.scores >= threshold
        return InstanceResult(
            self.masks[keep],
            self.labels[keep],
            self.scores[keep],
            self.classes,
            self.image,
            self.name,
            self.info,
        )

    def _is_painted(self, place: int, threshold: float = THRESHOLD) -> bool:
        score = self.scores[place]
        return bool(np.isnan(score) or score >= threshold)

    def _segment_map(self, threshold: float = THRESHOLD) -> np.ndarray:
        places = np.full(self.shape, -1, np.int32)
        for place in reversed(range(len(self.masks))):
            if self._is_painted(place, threshold):
                places[self.masks[place]] = place
        return places

    def _mask_png(self) -> bytes:
        if len(self.masks) > 65535:
            raise ResultError(
                f"{len(self.masks)} instances do not fit a 16-bit PNG (at most 65535)."
            )
        return storage.encode_png((self._segment_map(threshold=0.0) + 1).astype(np.uint16))

    def _record(self) -> dict[str, Any]:
        from pycocotools import mask as coco_mask

        height, width = self.shape
        segments = []
        for segment, mask in zip(self.segments, self.masks, strict=True):
            counts = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"]
            rle = {"size": [height, width], "counts": counts.decode("ascii")}
            segments.append({**segment.as_dict(), "rle": rle})
        return {
            "format": storage.INSTANCE_FORMAT,
            "name": self.name,
            "height": height,
            "width": width,
            "info": dict(self.info),
            "classes": list(self.classes),
            "segments": segments,
        }

    @classmethod
    def load(cls, path: str | os.PathLike, image: np.ndarray | None = None) -> InstanceResult:
        """Read back what ``save`` wrote, from the JSON file alone.

        Args:
            path: the ``.json`` file.
            image: (H, W, 3) uint8 RGB to go with it; images are not saved.

        Raises:
            FileNotFoundError: there is no such file.
            ResultError: the file is damaged or something else.
        """
        record = storage.read_record(path, storage.INSTANCE_FORMAT)
        try:
            shape = (int(record["height"]), int(record["width"]))
            entries = record["segments"]
            masks = np.zeros((len(entries), *shape), bool)
            for mask, entry in zip(masks, entries, strict=True):
                mask[:] = storage.decode_rles({1: entry["rle"]}, shape, fill=0) == 1
            return cls(
                masks=masks,
                labels=[entry["class"] for entry in entries],
                scores=[np.nan if e["score"] is None else e["score"] for e in entries],
                classes=tuple(record["classes"]),
                image=image,
                name=record["name"],
                info=record["info"],
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ResultError(f"{path} is damaged ({error}); save the result again.") from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, InstanceResult):
            return NotImplemented
        return (
            (self.classes, self.name) == (other.classes, other.name)
            and np.array_equal(self.labels, other.labels)
            and np.array_equal(self.scores, other.scores, equal_nan=True)
            and np.array_equal(self.masks, other.masks)
        )

    __hash__ = None
