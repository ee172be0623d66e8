"""Your own images and segments: a folder of images, masks of one of three kinds, and classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ovseg.datasets.folder import FolderDataset, class_file, read_class_words
from ovseg.datasets.labels import INVALID, LabelReader
from ovseg.datasets.panoptic import (
    InstanceIdReader,
    RegionReader,
    SegmentReader,
    groups_of,
    read_panoptic_json,
    segment_entries,
)
from ovseg.errors import DatasetError
from ovseg.registry import DATASETS

__all__ = ["MASK_KINDS", "FolderPanopticDataset"]

#: Value of void pixels in masks of instances.
VOID = 65535
#: What masks may hold.
MASK_KINDS = {
    "segments": "RGB PNGs of segment ids (R + 256 G + 256^2 B) with a JSON file in COCO's panoptic "
    "layout",
    "instances": "16-bit PNGs of 1000 * class + instance; instance 0 is stuff, or things not told "
    "apart (a crowd)",
    "classes": "PNGs of class indices; each connected region of a thing is one",
}


@DATASETS.register_module()
class FolderPanopticDataset(FolderDataset):
    """Images in one folder, masks of segments of the same relative names in another.

    Args:
        classes: As for `FolderDataset`: names, or the path of a file of classes.
        stuff: Names of the classes that are stuff (their instances are not told apart). For
            ``"segments"`` the JSON file says it (``isthing``) where this is None; for the others
            None makes all classes things.
        masks: What the masks hold, a key of `MASK_KINDS`.
        segments_file: The JSON file for ``"segments"``, relative to ``data_root``. Its
            categories are matched to the classes by their names.
        data_root: Folder that holds all of it.
        data_prefix: ``img_path`` (default ``images``) and ``seg_map_path`` (default ``masks``).
        **kwargs: As for `FolderDataset`. Void is ``ignore_index`` in masks of classes, 65535 in
            masks of instances, id 0 in masks of segments.

    Raises:
        DatasetError: Something is missing, or the classes do not fit.
    """

    def __init__(
        self,
        *,
        classes: Sequence[str] | str | Path,
        stuff: Iterable[str] | None = None,
        masks: str = "segments",
        segments_file: str = "segments.json",
        data_root: str | None = None,
        **kwargs,
    ) -> None:
        if masks not in MASK_KINDS:
            kinds = "; ".join(f"{kind!r}: {what}" for kind, what in MASK_KINDS.items())
            raise DatasetError(f"FolderPanopticDataset: masks={masks!r} is none of {kinds}.")
        if masks != "classes" and kwargs.get("reduce_zero_label"):
            raise DatasetError(
                f"FolderPanopticDataset: reduce_zero_label is for masks of classes, not of {masks}."
            )
        lazy_init = kwargs.pop("lazy_init", False)
        self.masks = masks
        path = class_file(classes, data_root)
        words = [[name] for name in classes] if path is None else read_class_words(path)
        self._words = [{word.casefold() for word in of_class} for of_class in words]
        self._content: dict | None = None
        self._class_of: dict[int, int] = {}
        self.segments_path = Path(data_root or "") / segments_file
        if masks == "segments":
            self._content = read_panoptic_json(self.segments_path)
            self._class_of = self._match_categories(self._content["categories"])
        # Needed by the label reader, which is made before the base class returns.
        self.is_thing = self._things(stuff)
        super().__init__(classes=classes, data_root=data_root, lazy_init=True, **kwargs)
        things = np.flatnonzero(self.is_thing).tolist()
        self._metainfo["groups"] = groups_of(things, len(self.is_thing))
        if masks == "segments":
            self.panoptic_reader = SegmentReader(self._class_of, self.is_thing)
            numbers = {index: number for number, index in self._class_of.items()}
            free = max(self._class_of, default=0) + 1  # for classes that are nowhere in the file
            self._metainfo["category_ids"] = [
                numbers.get(index, free + index) for index in range(len(self.is_thing))
            ]
        elif masks == "instances":
            own = {index: index for index in range(len(self.is_thing))}
            self.panoptic_reader = InstanceIdReader(own, self.is_thing, frozenset({VOID}))
        else:
            self.panoptic_reader = RegionReader(self.label_reader, self.is_thing)
        if not lazy_init:
            self.full_init()

    def find_samples(self) -> list[dict]:
        """Samples of the JSON file, or else of the folder of images."""
        if self._content is None:
            return super().find_samples()
        image_dir, mask_dir = self.folder("img_path"), self.folder("seg_map_path")
        annotations = {entry["image_id"]: entry for entry in self._content["annotations"]}
        samples = []
        for image in self._content["images"]:
            entry = annotations.get(image["id"])
            if entry is None:
                raise DatasetError(
                    f"{self.segments_path} lists the image {image['file_name']} but has no "
                    "annotation for it; annotate it or take it out."
                )
            samples.append(
                dict(
                    img_path=str(image_dir / image["file_name"]),
                    seg_map_path=str(mask_dir / entry["file_name"]),
                    segments=segment_entries(entry),
                    image_id=image["id"],
                )
            )
        return sorted(samples, key=lambda sample: sample["img_path"])

    def make_label_reader(self) -> LabelReader:
        """The masks as a semantic task."""
        count = len(self.is_thing)
        if self.masks == "segments":
            table = np.full(max(self._class_of, default=0) + 1, INVALID, np.int32)
            for number, index in self._class_of.items():
                table[number] = index
            return LabelReader(count, self.ignore_index, table, panoptic=True)
        if self.masks == "instances":
            table = np.arange(VOID + 1, dtype=np.int32) // 1000
            table[table >= count] = INVALID
            table[VOID] = self.ignore_index
            return LabelReader(count, self.ignore_index, table)
        return super().make_label_reader()

    def _match_categories(self, categories: Sequence[dict]) -> dict[int, int]:
        """Category id to class index, by the names of the categories."""
        found = {}
        for category in categories:
            name = str(category.get("name", "")).strip()
            owners = [i for i, words in enumerate(self._words) if name.casefold() in words]
            if len(owners) != 1:
                raise DatasetError(
                    f"Category {category.get('id')} of {self.segments_path}, {name!r}, is "
                    f"{'none' if not owners else 'more than one'} of the "
                    f"{len(self._words)} classes; make it the name or a synonym of one."
                )
            found[category["id"]] = owners[0]
        return found

    def _things(self, stuff: Iterable[str] | None) -> np.ndarray:
        """Whether each class is a thing: (C,) bool."""
        things = np.ones(len(self._words), bool)
        if stuff is None:
            for category in (self._content or {}).get("categories", ()):
                things[self._class_of[category["id"]]] = bool(category.get("isthing", 1))
            return things
        for name in [stuff] if isinstance(stuff, str) else stuff:
            owners = [i for i, words in enumerate(self._words) if name.casefold() in words]
            if not owners:
                raise DatasetError(
                    f"FolderPanopticDataset: {name!r} is given as stuff but is none of the "
                    f"{len(self._words)} classes."
                )
            things[owners] = False
        return things
