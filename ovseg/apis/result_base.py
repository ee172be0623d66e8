"""What all results have in common: pictures of themselves, files, copies in other processes."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ovseg.apis import storage
from ovseg.errors import MissingDependencyError, ResultError
from ovseg.visualization import comparison_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Result", "frozen", "import_supervision"]


class Result(ABC):
    """Base of the results, which are frozen dataclasses with at least the attributes below.

    A subclass gives `overlay`, `_mask_png` and `_record`, names its arrays in ``_ARRAYS``, and
    calls `_put_common` first when it is made.

    Attributes:
        classes: the names of the vocabulary.
        image: (H, W, 3) uint8 RGB or None.
        name: what the input is called, or None.
        info: what made the result.
    """

    _ARRAYS: ClassVar[tuple[str, ...]] = ("image",)

    classes: tuple[str, ...]
    image: np.ndarray | None
    name: str | None
    info: Mapping[str, Any]

    @abstractmethod
    def overlay(self, alpha: float = 0.5, legend: bool = True, **options: Any) -> np.ndarray:
        """The result painted over the image: (H', W', 3) uint8 RGB."""

    @abstractmethod
    def _mask_png(self) -> bytes:
        """What ``<stem>_mask.png`` holds."""

    @abstractmethod
    def _record(self) -> dict[str, Any]:
        """What ``<stem>.json`` holds; its "format" comes first."""

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

        ``<stem>_mask.png`` holds the result as pixel values, see the class. ``<stem>_overlay.png``
        is the overlay with its legend, ``<stem>_sheet.png`` the image beside it. ``<stem>.json``
        holds names, areas, scores, ``info``, and COCO run-length encodings; ``load`` reads it.

        Args:
            folder: where to; made when it is not there. Files of the same names are replaced.
            stem: how the file names begin; by default that of ``name``, else "image".
            overlay: write the overlay.
            mask: write the mask.
            sheet: write image and overlay side by side.
            overlay_format: "png", or "jpg" which is smaller; also for the sheet.

        Returns:
            Paths of what was written, by "mask", "overlay", "sheet", "json".

        Raises:
            SaveError: a file cannot be written; what was there before is kept.
            ResultError: more classes or segments than a mask can hold.
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
            data["mask"] = self._mask_png()
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

    # ------------------------------------------------------------ for subclasses

    def _put(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _put_common(self) -> None:
        """Bring classes, name and info into their form.

        Raises:
            ResultError: there are no classes, or one text in their place.
        """
        if isinstance(self.classes, str):
            raise ResultError(
                f"classes must be a list of names, not the one text {self.classes!r}."
            )
        self._put("classes", tuple(self.classes))
        self._put("info", MappingProxyType(dict(self.info)))
        self._put("name", None if self.name is None else str(self.name))

    def _put_image(self, shape: tuple[int, int]) -> None:
        """Check the image, if there is one, against the size of the result."""
        if self.image is None:
            return
        self._put("image", frozen(self.image))
        if self.image.shape != (*shape, 3) or self.image.dtype != np.uint8:
            raise ResultError(
                f"image must be uint8 of shape {(*shape, 3)} to match the mask, "
                f"not {self.image.dtype} of shape {self.image.shape}."
            )

    def _repr_png_(self) -> bytes:
        """How notebooks show the result."""
        return storage.encode_png(self.overlay())

    def __getstate__(self) -> dict[str, Any]:
        # A mapping proxy cannot be pickled; results cross process borders.
        return {**self.__dict__, "info": dict(self.info)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__["info"] = MappingProxyType(state["info"])
        for name in self._ARRAYS:
            if state[name] is not None:
                self.__dict__[name] = frozen(state[name])


def frozen(array: Any) -> np.ndarray:
    """A read-only view; the caller's own array stays writable."""
    view = np.asarray(array).view()
    view.setflags(write=False)
    return view


def import_supervision() -> Any:
    """The package supervision.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import supervision
    except ImportError as error:
        raise MissingDependencyError(
            "Conversion to detections needs the package supervision; "
            "install it with: pip install supervision"
        ) from error
    return supervision
