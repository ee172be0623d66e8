"""Segments, and what the two results that are made of them have in common."""

from __future__ import annotations

import difflib
from abc import abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ovseg.apis.result_base import Result, import_supervision
from ovseg.errors import ResultError
from ovseg.visualization import draw_segments

if TYPE_CHECKING:
    import supervision

__all__ = ["Segment", "SegmentedResult"]


@dataclass(frozen=True)
class Segment:
    """One found thing, or one region of stuff.

    Attributes:
        id: number of the segment in its image, from 1 on.
        class_id: index of its class.
        class_name: name of its class.
        score: how sure the model is, 0..1, or None where that is not known.
        area: in pixels.
        is_thing: whether it is one of possibly many; stuff is one segment a class.
    """

    id: int
    class_id: int
    class_name: str
    score: float | None
    area: int
    is_thing: bool = True

    def as_dict(self) -> dict[str, Any]:
        """What a JSON record says of it."""
        return {
            "id": self.id,
            "class": self.class_id,
            "name": self.class_name,
            "score": self.score,
            "area": self.area,
            "isthing": self.is_thing,
        }


class SegmentedResult(Result):
    """Base of the results made of segments; behaves as the sequence of them.

    A subclass gives `mask_of_segment`, `masks_array` and `_segment_map`.

    Attributes:
        segments: the segments.
        scores: score of each, (n,) float32, NaN where it is not known.
    """

    segments: tuple[Segment, ...]
    scores: np.ndarray

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image."""

    @abstractmethod
    def mask_of_segment(self, number: int) -> np.ndarray:
        """Pixels of the segment with an id: (H, W) bool."""

    @abstractmethod
    def masks_array(self) -> np.ndarray:
        """Masks of all segments, (n, H, W) bool, in their order."""

    @abstractmethod
    def _segment_map(self, **options: Any) -> np.ndarray:
        """(H, W) int32 places of the segments, -1 for none, as they are painted."""

    def __len__(self) -> int:
        return len(self.segments)

    def __iter__(self):
        return iter(self.segments)

    def __getitem__(self, place: int) -> Segment:
        return self.segments[place]

    @property
    def class_ids(self) -> np.ndarray:
        """Class index of each segment: (n,) int64."""
        return np.array([segment.class_id for segment in self.segments], np.int64)

    @property
    def counts(self) -> dict[str, int]:
        """How many segments there are of each class that occurs."""
        return dict(Counter(segment.class_name for segment in self.segments))

    def of_class(self, name: str | int) -> tuple[Segment, ...]:
        """The segments of one class, given by its name or index.

        Raises:
            ResultError: there is no such class; the message names the nearest ones.
        """
        if isinstance(name, str):
            labels = {c for c, other in enumerate(self.classes) if other == name}
        else:
            labels = {name} if 0 <= name < len(self.classes) else set()
        if not labels:
            near = difflib.get_close_matches(str(name), self.classes, n=3)
            hint = f"did you mean {', '.join(map(repr, near))}?" if near else "see .classes."
            raise ResultError(f"{name!r} is none of the {len(self.classes)} classes; {hint}")
        return tuple(segment for segment in self.segments if segment.class_id in labels)

    def mask_of(self, which: str | int) -> np.ndarray:
        """Pixels of a segment (given by its id) or of a class (given by its name): (H, W) bool.

        Raises:
            ResultError: there is no such segment or class.
        """
        if not isinstance(which, str):
            return self.mask_of_segment(which)
        found = np.zeros(self.shape, bool)
        for segment in self.of_class(which):
            found |= self.mask_of_segment(segment.id)
        return found

    def overlay(self, alpha: float = 0.5, legend: bool = True, **options: Any) -> np.ndarray:
        """The segments painted over the image with their borders, and a legend that counts them.

        Args:
            alpha: strength of the fill, 0..1.
            legend: without one the picture has exactly the size of the image.
            options: others of ``ovseg.visualization.draw_segments``, as ``colors``; for instances
                also ``threshold``, the least score that is painted (0.3).

        Returns:
            (H', W', 3) uint8 RGB. Without ``image`` the segments are painted on a plain ground.
        """
        own = {k: options.pop(k) for k in ("threshold",) if k in options}
        places = self._segment_map(**own)
        kept = [i for i in range(len(self.segments)) if self._is_painted(i, **own)]
        new = np.full(len(self.segments) + 1, -1, np.int32)  # -1 reads the last
        new[kept] = np.arange(len(kept), dtype=np.int32)
        return draw_segments(
            self.image,
            new[places],
            [self.segments[i].class_id for i in kept],
            [self.segments[i].is_thing for i in kept],
            self.classes,
            alpha,
            legend=legend,
            **options,
        )

    def _is_painted(self, place: int, **options: Any) -> bool:
        return True

    def to_detections(self) -> supervision.Detections:
        """The segments as ``supervision.Detections``, in their order.

        ``mask`` is (n, H, W) bool, ``xyxy`` its box (last pixel included), ``class_id`` the index,
        ``confidence`` the score (absent when not known), ``data`` holds ``class_name``,
        ``segment_id`` and ``is_thing``.

        Raises:
            MissingDependencyError: supervision is not installed.
        """
        sv = import_supervision()
        if not self.segments:
            return sv.Detections.empty()
        masks, scores = self.masks_array(), self.scores
        return sv.Detections(
            xyxy=sv.mask_to_xyxy(masks).astype(np.float32),
            mask=masks,
            confidence=None if np.isnan(scores).any() else scores,
            class_id=self.class_ids,
            data={
                "class_name": np.array([s.class_name for s in self.segments]),
                "segment_id": np.array([s.id for s in self.segments]),
                "is_thing": np.array([s.is_thing for s in self.segments]),
            },
        )

    def __repr__(self) -> str:
        height, width = self.shape
        counts = [f"{number} {name}" for name, number in self.counts.items()]
        if len(counts) > 5:
            counts[5:] = [f"+ {len(counts) - 5} more classes"]
        name = f"{self.name!r}, " if self.name else ""
        found = ": " + ", ".join(counts) if counts else ""
        what = f"{len(self.segments)} segments{found}"
        return f"{type(self).__name__}({name}{height} x {width}, {what})"

    # ------------------------------------------------------------ for subclasses

    def _make_segment(
        self, number: int, label: int, score: Any, area: int, is_thing: bool
    ) -> Segment:
        """A checked segment.

        Raises:
            ResultError: its class or score is none.
        """
        if not 0 <= label < len(self.classes):
            raise ResultError(
                f"segment {number} is of class {label}, but classes go from 0 to "
                f"{len(self.classes) - 1}."
            )
        score = None if score is None or np.isnan(score) else float(score)
        if score is not None and not 0 <= score <= 1 + 1e-6:
            raise ResultError(f"segment {number} has the score {score}; scores lie in 0..1.")
        if score is not None:
            score = min(score, 1.0)
        return Segment(number, label, self.classes[label], score, area, bool(is_thing))
