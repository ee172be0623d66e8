"""The value every segmentation returns: a label map, its names, and ways out of it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ovseg.apis import storage
from ovseg.errors import MissingDependencyError, ResultError
from ovseg.visualization import comparison_sheet, draw_overlay

if TYPE_CHECKING:
    import supervision
    from matplotlib.figure import Figure

__all__ = ["SegmentationResult"]


@dataclass(frozen=True, eq=False, repr=False)
class SegmentationResult:
    """The segmentation of one image.

    A value: its arrays are read-only, and two results are equal when mask, classes, scores, void
    and name are.

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

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        if isinstance(self.classes, str):
            raise ResultError(
                f"classes must be a list of names, not the one text {self.classes!r}."
            )
        put("classes", tuple(self.classes))
        put("mask", _frozen(self.mask))
        put("info", MappingProxyType(dict(self.info)))
        put("name", None if self.name is None else str(self.name))
        counted = self._count()
        if self.areas is not None and not np.array_equal(self.areas, counted):
            raise ResultError(
                "areas do not agree with the mask: they must count its pixels, one entry for each "
                f"of the {len(self.classes)} classes; leave them out to have them counted."
            )
        put("areas", _frozen(counted))
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
        put("scores", _frozen(scores))
        if self.image is not None:
            put("image", _frozen(self.image))
            if self.image.shape != (*self.mask.shape, 3) or self.image.dtype != np.uint8:
                raise ResultError(
                    f"image must be uint8 of shape {(*self.mask.shape, 3)} to match the mask, "
                    f"not {self.image.dtype} of shape {self.image.shape}."
                )

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

    def sheet(self, title: str | None = None) -> np.ndarray:
        """Image and overlay side by side, (H', W', 3) uint8 RGB; without image the overlay."""
        overlay = self.overlay()
        title = title or str(self.info.get("model", "segmentation"))
        if self.image is None:
            return comparison_sheet([overlay], [title])
        return comparison_sheet([self.image, overlay], [Path(self.name or "image").name, title])

    def plot(self, alpha: float = 0.5, **options: Any) -> Figure:
        """A matplotlib figure of the overlay; nothing is shown and pyplot is left alone.

        Save it with ``figure.savefig``; in a notebook the result shows itself without plotting.

        Args:
            alpha: strength of the fill, 0..1.
            options: as for ``overlay``.
        """
        from matplotlib.figure import Figure

        picture = self.overlay(alpha, **options)
        height, width = picture.shape[:2]
        scale = 9 / max(height, width)
        figure = Figure(figsize=(max(width * scale, 1), max(height * scale, 1)), dpi=150)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(picture)
        axes.set_axis_off()
        return figure

    def save(
        self,
        folder: str | os.PathLike,
        stem: str | None = None,
        overlay: bool = True,
        *,
        mask: bool = True,
        sheet: bool = False,
        overlay_format: str = "png",
    ) -> dict[str, Path]:
        """Write the result to files; each is whole or absent, the JSON is written last.

        ``<stem>_mask.png`` holds the labels as grey values, 8-bit up to 255 classes and 16-bit
        beyond, void as 255 or 65535. ``<stem>_overlay.png`` is the overlay with its legend,
        ``<stem>_sheet.png`` the image beside it. ``<stem>.json`` holds the names, areas, scores,
        ``info``, and COCO run-length encodings of the classes that occur; ``load`` reads it.

        Args:
            folder: where to; made when it is not there. Files of the same names are replaced.
            stem: how the file names begin; by default that of ``name``, else "image".
            overlay: write the overlay.
            mask: write the label map.
            sheet: write image and overlay side by side.
            overlay_format: "png", or "jpg" which is smaller; also for the sheet.

        Returns:
            Paths of what was written, by "mask", "overlay", "sheet", "json".

        Raises:
            SaveError: a file cannot be written; what was there before is kept.
            ResultError: more than 65535 classes, for a mask.
            ValueError: a stem with folders in it, or an unknown format.
        """
        folder, stem = Path(folder), stem or Path(self.name or "image").stem or "image"
        if Path(stem).name != stem:
            raise ValueError(
                f"stem must be a plain file name, not {stem!r}; put folders in folder."
            )
        if overlay_format not in ("png", "jpg"):
            raise ValueError(f"overlay_format must be 'png' or 'jpg', not {overlay_format!r}.")
        encode = storage.encode_png if overlay_format == "png" else storage.encode_jpeg
        data: dict[str, bytes] = {}
        paths: dict[str, Path] = {}
        if mask:
            paths["mask"] = folder / f"{stem}_mask.png"
            data["mask"] = storage.encode_mask(self.mask, len(self.classes), self.void)
        if overlay:
            paths["overlay"] = folder / f"{stem}_overlay.{overlay_format}"
            data["overlay"] = encode(self.overlay())
        if sheet:
            paths["sheet"] = folder / f"{stem}_sheet.{overlay_format}"
            data["sheet"] = encode(self.sheet())
        files = {kind: {"name": paths[kind].name, "bytes": len(data[kind])} for kind in paths}
        paths["json"] = folder / f"{stem}.json"
        data["json"] = storage.encode_record({**self._record(), "files": files})
        storage.write_files({paths[kind]: data[kind] for kind in paths})
        return paths

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
        try:
            import supervision as sv
        except ImportError as error:
            raise MissingDependencyError(
                "Conversion to detections needs the package supervision; "
                "install it with: pip install supervision"
            ) from error
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

    def _repr_png_(self) -> bytes:
        """How notebooks show the result."""
        return storage.encode_png(self.overlay())

    def __getstate__(self) -> dict[str, Any]:
        # A mapping proxy cannot be pickled; results cross process borders.
        return {**self.__dict__, "info": dict(self.info)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__["info"] = MappingProxyType(state["info"])
        for name in ("mask", "areas", "scores", "image"):
            if state[name] is not None:
                self.__dict__[name] = _frozen(state[name])


def _frozen(array: Any) -> np.ndarray:
    """A read-only view; the caller's own array stays writable."""
    view = np.asarray(array).view()
    view.setflags(write=False)
    return view
