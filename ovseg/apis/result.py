"""The value a semantic segmentation returns: a label map, its names, and ways out of it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ovseg.apis import storage
from ovseg.apis.result_base import Result, frozen, import_supervision
from ovseg.errors import ResultError
from ovseg.visualization import draw_overlay

if TYPE_CHECKING:
    import supervision

__all__ = ["SegmentationResult"]


@dataclass(frozen=True, eq=False, repr=False)
class SegmentationResult(Result):
    """The semantic segmentation of one image.

    A value: its arrays are read-only, and two results are equal when mask, classes, scores, void
    and name are. The PNG that ``save`` writes holds the labels as grey values, 8-bit up to 255
    classes and 16-bit beyond, void as 255 or 65535.

    Attributes:
        mask: (H, W) integer label map at the input's size, each pixel an index into ``classes``
            (or ``void``).
        classes: the C names of the vocabulary, also of those that do not occur.
        areas: (C,) int64, pixels of each class; counted from the mask when not given.
        scores: (C,) float32, mean probability, 0..1, of the pixels given to each class, 0 where
            there are none; NaN throughout when not known.
        image: (H, W, 3) uint8 RGB, what was segmented, for pictures; None when not kept.
        name: file name or other name of the input.
        info: what made the result: model, settings, versions; anything JSON can hold.
        void: label of pixels without a class, outside 0..C-1; None when every pixel has one.

    Raises:
        ResultError: the fields do not fit each other.

    Example:
        >>> result = SegmentationResult(np.array([[0, 0], [1, 0]]), ("sky", "grass"))
        >>> result.areas.tolist()
        [3, 1]
        >>> result.mask_of("grass").sum()
        np.int64(1)
    """

    mask: np.ndarray
    classes: tuple[str, ...]
    areas: np.ndarray | None = None
    scores: np.ndarray | None = None
    image: np.ndarray | None = None
    name: str | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    void: int | None = None

    _ARRAYS: ClassVar[tuple[str, ...]] = ("mask", "areas", "scores", "image")

    def __post_init__(self) -> None:
        self._put_common()
        self._put("mask", frozen(self.mask))
        counted = self._count()
        if self.areas is not None and not np.array_equal(self.areas, counted):
            raise ResultError(
                "areas do not agree with the mask: they must count its pixels, one entry for each "
                f"of the {len(self.classes)} classes; leave them out to have them counted."
            )
        self._put("areas", frozen(counted))
        scores = np.full(len(self.classes), np.nan) if self.scores is None else self.scores
        scores = np.asarray(scores, dtype=np.float32)
        known = scores[~np.isnan(scores)]
        if scores.shape != counted.shape or (
            known.size and not 0 <= known.min() <= known.max() <= 1
        ):
            raise ResultError(
                f"scores must be {len(self.classes)} numbers in 0..1, one for each class, "
                f"not an array of shape {scores.shape}."
            )
        self._put("scores", frozen(scores))
        self._put_image(self.mask.shape)

    def _count(self) -> np.ndarray:
        """Pixels of each class, after checking that every label is one."""
        mask, num_classes = self.mask, len(self.classes)
        if mask.ndim != 2 or mask.size == 0 or not np.issubdtype(mask.dtype, np.integer):
            raise ResultError(
                f"mask must be a non-empty (H, W) array of integers, not {mask.dtype} of shape "
                f"{mask.shape}."
            )
        if num_classes == 0:
            raise ResultError("A result needs at least one class.")
        if self.void is not None and 0 <= self.void < num_classes:
            raise ResultError(
                f"void = {self.void} is the index of class {self.classes[self.void]!r}; "
                "take a label outside the classes, such as -1."
            )
        valid = (mask >= 0) & (mask < num_classes)
        stray = ~valid if self.void is None else ~valid & (mask != self.void)
        if stray.any():
            raise ResultError(
                f"mask holds the label {mask[stray][0]}, but labels go from 0 to {num_classes - 1}"
                + ("." if self.void is None else f", or {self.void} for void.")
            )
        return np.bincount(mask[valid].astype(np.int64), minlength=num_classes)

    @cached_property
    def present(self) -> tuple[int, ...]:
        """Indices of the classes that occur, largest area first."""
        order = np.argsort(-self.areas, kind="stable")
        return tuple(int(c) for c in order if self.areas[c] > 0)

    def mask_of(self, name: str | int) -> np.ndarray:
        """Pixels of one class, given by its name or index: (H, W) bool.

        Raises:
            ResultError: there is no such class; the message names the nearest ones.
        """
        if isinstance(name, str):
            indices = [c for c, other in enumerate(self.classes) if other == name]
        else:
            indices = [name] if 0 <= name < len(self.classes) else []
        if not indices:
            near = difflib.get_close_matches(str(name), self.classes, n=3)
            hint = f"did you mean {', '.join(map(repr, near))}?" if near else "see .classes."
            raise ResultError(f"{name!r} is none of the {len(self.classes)} classes; {hint}")
        return np.isin(self.mask, indices)

    def overlay(self, alpha: float = 0.5, legend: bool = True, **options: Any) -> np.ndarray:
        """The label map painted over the image, with a legend beside it.

        Args:
            alpha: strength of the fill, 0..1.
            legend: without one the picture has exactly the size of the image.
            options: others of ``ovseg.visualization.draw_overlay``, as ``colors``.

        Returns:
            (H', W', 3) uint8 RGB. Without ``image`` the label map is painted on a plain ground.
        """
        return draw_overlay(
            self.image, self.mask, self.classes, alpha, legend=legend, void=self.void, **options
        )

    def _mask_png(self) -> bytes:
        return storage.encode_mask(self.mask, len(self.classes), self.void)

    def _record(self) -> dict[str, Any]:
        height, width = self.mask.shape
        entries = [
            {"index": c, "name": name, "area": int(self.areas[c]), "score": float(self.scores[c])}
            for c, name in enumerate(self.classes)
        ]
        for c, rle in storage.encode_rles(self.mask, self.present).items():
            entries[c]["rle"] = rle
        record = {
            "format": storage.RECORD_FORMAT,
            "name": self.name,
            "height": height,
            "width": width,
            "void": self.void,
            "void_in_png": None if self.void is None else storage.png_void(len(self.classes)),
        }
        return {**record, "info": dict(self.info), "classes": entries}

    @classmethod
    def load(cls, path: str | os.PathLike, image: np.ndarray | None = None) -> SegmentationResult:
        """Read back what ``save`` wrote, from the JSON file alone.

        Args:
            path: the ``.json`` file.
            image: (H, W, 3) uint8 RGB to go with it; images are not saved.

        Raises:
            FileNotFoundError: there is no such file.
            ResultError: the file is damaged or something else.
        """
        record = storage.read_record(path)
        try:
            shape = (int(record["height"]), int(record["width"]))
            entries, void = record["classes"], record["void"]
            rles = {c: entry["rle"] for c, entry in enumerate(entries) if "rle" in entry}
            mask = storage.decode_rles(rles, shape, fill=-1 if void is None else void)
            scores = [np.nan if e["score"] is None else e["score"] for e in entries]
            return cls(
                mask=mask,
                classes=tuple(entry["name"] for entry in entries),
                areas=np.array([entry["area"] for entry in entries]),
                scores=np.array(scores, dtype=np.float32),
                image=image,
                name=record["name"],
                info=record["info"],
                void=void,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ResultError(f"{path} is damaged ({error}); save the result again.") from error

    def to_detections(self) -> supervision.Detections:
        """The classes that occur as ``supervision.Detections``, one detection each, largest first.

        ``mask`` is (n, H, W) bool, ``xyxy`` its box (last pixel included), ``class_id`` the index,
        ``confidence`` the score (absent when not known), ``data["class_name"]`` the name.

        Raises:
            MissingDependencyError: supervision is not installed.
        """
        sv = import_supervision()
        if not self.present:
            return sv.Detections.empty()
        index = np.array(self.present)
        masks = np.stack([self.mask == c for c in self.present])
        scores = self.scores[index]
        return sv.Detections(
            xyxy=sv.mask_to_xyxy(masks).astype(np.float32),
            mask=masks,
            confidence=None if np.isnan(scores).any() else scores,
            class_id=index,
            data={"class_name": np.array([self.classes[c] for c in self.present])},
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SegmentationResult):
            return NotImplemented
        return (
            (self.classes, self.void, self.name) == (other.classes, other.void, other.name)
            and np.array_equal(self.mask, other.mask)
            and np.array_equal(self.scores, other.scores, equal_nan=True)
        )

    __hash__ = None

    def __repr__(self) -> str:
        height, width = self.mask.shape
        shares = [
            f"{self.classes[c]} {100 * self.areas[c] / self.mask.size:.0f}%" for c in self.present
        ]
        if len(shares) > 5:
            shares[5:] = [f"+ {len(shares) - 5} more"]
        name = f"{self.name!r}, " if self.name else ""
        found = f"{len(self.present)} of {len(self.classes)} classes"
        return f"SegmentationResult({name}{height} x {width}, {found}: {', '.join(shares)})"
