"""The value a panoptic segmentation returns: every pixel in at most one segment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ovseg.apis import storage
from ovseg.apis.result import SegmentationResult
from ovseg.apis.result_base import frozen
from ovseg.apis.segments import Segment, SegmentedResult
from ovseg.errors import ResultError
from ovseg.utils.segment_ids import encode_segment_ids

__all__ = ["PanopticResult"]


@dataclass(frozen=True, eq=False, repr=False)
class PanopticResult(SegmentedResult):
    """The panoptic segmentation of one image: a sequence of segments that do not overlap.

    A value: its arrays are read-only, and two results are equal when ids, segments, classes and
    name are. The PNG that ``save`` writes is an RGB picture of the ids, R + 256 G + 256^2 B, as
    COCO's are.

    Attributes:
        ids: (H, W) int32, the id of each pixel's segment, 0 where there is none.
        segments: a `Segment` for each id; may be given as dicts with ``id``, ``category_id`` (class
            index), ``isthing`` and ``score``. Areas are counted; segments without a pixel are left
            out.
        classes: the C names of the vocabulary, also of those that do not occur.
        image: (H, W, 3) uint8 RGB, what was segmented, for pictures; None when not kept.
        name: file name or other name of the input.
        info: what made the result: model, settings, versions; anything JSON can hold.

    Raises:
        ResultError: the fields do not fit each other.

    Example:
        >>> cat = {"id": 1, "category_id": 0, "isthing": True, "score": 0.9}
        >>> result = PanopticResult(np.array([[0, 1], [1, 1]]), [cat], ("cat", "sky"))
        >>> result[0].class_name, result[0].area
        ('cat', 3)
    """

    ids: np.ndarray
    segments: Sequence[Segment | Mapping[str, Any]]
    classes: tuple[str, ...]
    image: np.ndarray | None = None
    name: str | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    _ARRAYS: ClassVar[tuple[str, ...]] = ("ids", "image")

    def __post_init__(self) -> None:
        self._put_common()
        ids = np.asarray(self.ids)
        if ids.ndim != 2 or ids.size == 0 or not np.issubdtype(ids.dtype, np.integer):
            raise ResultError(
                f"ids must be a non-empty (H, W) array of integers, not {ids.dtype} of shape "
                f"{ids.shape}."
            )
        self._put("ids", frozen(ids.astype(np.int32, copy=False)))
        present, counts = np.unique(self.ids, return_counts=True)
        areas = dict(zip(present.tolist(), counts.tolist(), strict=True))
        given = [_fields(segment) for segment in self.segments]
        numbers = [number for number, *_ in given]
        if len(set(numbers)) < len(numbers) or min(numbers, default=1) < 1:
            raise ResultError("segments must have different ids, from 1 on.")
        stray = [number for number in areas if number and number not in set(numbers)]
        if stray:
            raise ResultError(f"ids holds segment {stray[0]}, which is not among the segments.")
        segments = tuple(
            self._make_segment(number, label, score, areas[number], thing)
            for number, label, score, thing in given
            if number in areas
        )
        self._put("segments", segments)
        self._put_image(self.ids.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self.ids.shape

    @property
    def scores(self) -> np.ndarray:
        """Score of each segment: (n,) float32, NaN where it is not known."""
        scores = [np.nan if s.score is None else s.score for s in self.segments]
        return np.array(scores, np.float32)

    def mask_of_segment(self, number: int) -> np.ndarray:
        """Pixels of the segment with an id: (H, W) bool.

        Raises:
            ResultError: there is no such segment.
        """
        if not any(segment.id == number for segment in self.segments):
            raise ResultError(f"there is no segment {number}; see .segments.")
        return self.ids == number

    def masks_array(self) -> np.ndarray:
        """Masks of all segments, (n, H, W) bool, in their order."""
        numbers = np.array([segment.id for segment in self.segments], np.int32)
        return self.ids[None] == numbers[:, None, None]

    def semantic(self) -> SegmentationResult:
        """The classes alone; pixels without a segment are void (-1).

        The score of a class is the mean of its segments' scores, by their areas.
        """
        table = np.full(int(self.ids.max()) + 1, -1, np.int32)
        weights, areas = np.zeros(len(self.classes)), np.zeros(len(self.classes))
        for segment in self.segments:
            table[segment.id] = segment.class_id
            score = np.nan if segment.score is None else segment.score
            weights[segment.class_id] += segment.area * score
            areas[segment.class_id] += segment.area
        return SegmentationResult(
            mask=table[self.ids],
            classes=self.classes,
            scores=weights / np.maximum(areas, 1),
            image=self.image,
            name=self.name,
            info=self.info,
            void=-1,
        )

    def _segment_map(self) -> np.ndarray:
        table = np.full(int(self.ids.max()) + 1, -1, np.int32)
        for place, segment in enumerate(self.segments):
            table[segment.id] = place
        return table[self.ids]

    def _mask_png(self) -> bytes:
        if self.ids.max() >= 2**24:
            raise ResultError(f"segment {self.ids.max()} does not fit a PNG (ids below 2^24).")
        return storage.encode_png(encode_segment_ids(self.ids))

    def _record(self) -> dict[str, Any]:
        height, width = self.shape
        rles = storage.encode_rles(self.ids, [segment.id for segment in self.segments])
        return {
            "format": storage.PANOPTIC_FORMAT,
            "name": self.name,
            "height": height,
            "width": width,
            "info": dict(self.info),
            "classes": list(self.classes),
            "segments": [{**s.as_dict(), "rle": rles[s.id]} for s in self.segments],
        }

    @classmethod
    def load(cls, path: str | os.PathLike, image: np.ndarray | None = None) -> PanopticResult:
        """Read back what ``save`` wrote, from the JSON file alone.

        Args:
            path: the ``.json`` file.
            image: (H, W, 3) uint8 RGB to go with it; images are not saved.

        Raises:
            FileNotFoundError: there is no such file.
            ResultError: the file is damaged or something else.
        """
        record = storage.read_record(path, storage.PANOPTIC_FORMAT)
        try:
            shape = (int(record["height"]), int(record["width"]))
            rles = {int(s["id"]): s["rle"] for s in record["segments"]}
            segments = [
                Segment(s["id"], s["class"], s["name"], s["score"], s["area"], s["isthing"])
                for s in record["segments"]
            ]
            return cls(
                ids=storage.decode_rles(rles, shape, fill=0),
                segments=segments,
                classes=tuple(record["classes"]),
                image=image,
                name=record["name"],
                info=record["info"],
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ResultError(f"{path} is damaged ({error}); save the result again.") from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PanopticResult):
            return NotImplemented
        own, others = (self.classes, self.name), (other.classes, other.name)
        return (
            own == others
            and self.segments == other.segments
            and np.array_equal(self.ids, other.ids)
        )

    __hash__ = None


def _fields(segment: Segment | Mapping[str, Any]) -> tuple[int, int, float | None, bool]:
    """Id, class, score, whether it is a thing."""
    if isinstance(segment, Segment):
        return segment.id, segment.class_id, segment.score, segment.is_thing
    try:
        number, label = int(segment["id"]), int(segment["category_id"])
    except (KeyError, TypeError, ValueError) as error:
        raise ResultError(f"a segment needs an id and a category_id, got {segment!r}.") from error
    return number, label, segment.get("score"), bool(segment.get("isthing", True))
