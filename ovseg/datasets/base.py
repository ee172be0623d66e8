"""What every benchmark dataset of this package has in common."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mmseg.datasets import BaseSegDataset

from ovseg.datasets.labels import LabelReader, index_lookup
from ovseg.datasets.layouts import Layout, find_layout
from ovseg.datasets.lists import read_names
from ovseg.errors import DatasetError
from ovseg.registry import TRANSFORMS

__all__ = ["SegmentationDataset"]


class SegmentationDataset(BaseSegDataset):
    """Pairs of images and masks that are checked before a run starts.

    On top of mmseg's dataset: folders and files that are missing are named at once, masks may hold
    more than 255 classes, and the metainfo tells the vocabulary, the void label, the folder that
    image names are relative to, and groups of classes such as things and stuff.

    Subclasses set ``METAINFO`` (``classes``, ``palette``, optionally ``vocabulary`` and
    ``groups``), ``LAYOUTS`` (the arrangements they know, of which the first that is below
    ``data_root`` is taken), ``HOW_TO_GET`` (what to download, and which converter to run) and
    ``IMAGES``, and may override `find_samples` and `make_label_reader`.

    Args:
        data_root: Folder that holds the dataset.
        data_prefix: Folders ``img_path`` and ``seg_map_path``, in place of those of the layout.
        ann_file: List of images in place of that of the layout; empty to use all of the folder.
        ignore_index: Label of void pixels; anything that is no class, -1 included.
        metainfo: May name a subset of the classes; pixels of the others become void.
        vocabulary: Name or file of the vocabulary that goes with the classes, for the metainfo.
        **kwargs: As for `mmseg.datasets.BaseSegDataset`.

    Raises:
        DatasetError: A folder or file is missing, or there is nothing in it.
    """

    LAYOUTS: ClassVar[tuple[Layout, ...]] = ()
    HOW_TO_GET: ClassVar[str] = ""
    #: How many images the split has that scores are published on; None where there is no such.
    IMAGES: ClassVar[int | None] = None
    #: Reads panoptic ground truth (see `ovseg.datasets.panoptic`) where the dataset has it.
    panoptic_reader: Any = None

    def __init__(
        self,
        *,
        data_root: str | None = None,
        data_prefix: dict | None = None,
        ann_file: str | None = None,
        ignore_index: int = 255,
        metainfo: dict | None = None,
        vocabulary: str | None = None,
        **kwargs,
    ) -> None:
        lazy_init = kwargs.pop("lazy_init", False)
        # Built here, so that a dataset can be made outside a runner as well.
        kwargs["pipeline"] = [
            TRANSFORMS.build(step) if isinstance(step, dict) else step
            for step in kwargs.get("pipeline", ())
        ]
        self.layout = find_layout(self.LAYOUTS, data_root) if self.LAYOUTS else None
        if self.layout is not None:
            for key in ("img_suffix", "seg_map_suffix", "reduce_zero_label"):
                kwargs.setdefault(key, getattr(self.layout, key))
            if data_prefix is None:
                data_prefix = dict(
                    img_path=self.layout.img_path, seg_map_path=self.layout.seg_map_path
                )
            ann_file = self.layout.ann_file if ann_file is None else ann_file
        super().__init__(
            data_root=data_root,
            data_prefix=data_prefix or dict(img_path="", seg_map_path=""),
            ann_file=ann_file or "",
            ignore_index=ignore_index,
            metainfo=metainfo,
            lazy_init=True,
            **kwargs,
        )
        classes = self._metainfo.get("classes")
        if not classes:
            raise DatasetError(f"{type(self).__name__} has no classes; name them in metainfo.")
        self.label_reader = self.make_label_reader()
        self._metainfo.update(
            ignore_index=ignore_index,
            image_root=str(self.data_prefix.get("img_path") or ""),
            vocabulary=vocabulary or self._metainfo.get("vocabulary"),
        )
        if self.label_map is not None:
            self._metainfo.pop("groups", None)  # they count the classes of the full list
        if not lazy_init:
            self.full_init()

    # ------------------------------------------------------------ for subclasses

    def find_samples(self) -> list[dict]:
        """Sample dicts with ``img_path`` and ``seg_map_path``, in the order of the image names."""
        image_dir = self.folder("img_path")
        mask_dir = self.folder("seg_map_path")
        if self.ann_file:
            names = self._names_in_file()
        elif self.layout is not None and self.layout.from_masks:
            names = _names_in(mask_dir, self.seg_map_suffix)
        else:
            names = _names_in(image_dir, self.img_suffix)
        return [
            dict(
                img_path=str(image_dir / f"{name}{self.img_suffix}"),
                seg_map_path=str(mask_dir / f"{name}{self.seg_map_suffix}"),
            )
            for name in names
        ]

    def make_label_reader(self) -> LabelReader:
        """How the masks are read; by default single-channel PNGs of class indices."""
        full = self.METAINFO.get("classes") or self._metainfo["classes"]
        table = index_lookup(
            len(full),
            self.ignore_index,
            reduce_zero_label=self.reduce_zero_label,
            kept=self.kept_classes(),
        )
        return LabelReader(len(self._metainfo["classes"]), self.ignore_index, table)

    # ------------------------------------------------------------ shared

    def kept_classes(self) -> Sequence[int] | None:
        """New index of each class where ``metainfo`` names a subset, -1 for those left out."""
        if self.label_map is None:
            return None
        names = list(self._metainfo["classes"])
        return [names.index(c) if c in names else -1 for c in self.METAINFO["classes"]]

    def folder(self, which: str) -> Path:
        """A folder of ``data_prefix``, made sure to exist."""
        path = Path(self.data_prefix.get(which) or "")
        if not path.is_dir():
            kind = "images" if which == "img_path" else "masks"
            raise DatasetError(
                f"Folder of {kind} {path} of {type(self).__name__} does not exist; set data_root "
                f"(now {self.data_root!r}) to the folder that holds the dataset in its published "
                f"layout.{self._how_to_get()}"
            )
        return path

    def _how_to_get(self) -> str:
        """Where the dataset comes from, for the end of a message."""
        root = self.data_root or "DATA_ROOT"
        return f" {self.HOW_TO_GET.format(data_root=root)}" if self.HOW_TO_GET else ""

    def load_data_list(self) -> list[dict]:
        """Sample dicts of all images; every file they name exists."""
        samples = self.find_samples()
        if not samples:
            raise DatasetError(
                f"{type(self).__name__} found no images *{self.img_suffix} in "
                f"{self.data_prefix.get('img_path')}; check data_root and data_prefix."
                f"{self._how_to_get()}"
            )
        present: dict[str, set[str]] = {}
        for kind in ("img_path", "seg_map_path", "panoptic_path"):
            missing = [s[kind] for s in samples if kind in s and not _exists(s[kind], present)]
            if missing:
                raise DatasetError(
                    f"{len(missing)} of {len(samples)} "
                    f"{'images' if kind == 'img_path' else 'masks'} of {type(self).__name__} are "
                    f"missing, the first is {missing[0]}; complete the dataset or list the images "
                    f"to use in ann_file.{self._how_to_get()}"
                )
        for sample in samples:
            sample.update(
                label_map=self.label_map, reduce_zero_label=self.reduce_zero_label, seg_fields=[]
            )
        return samples

    def get_data_info(self, idx: int) -> dict:
        """Sample dict of one image, with the reader of its mask."""
        info = {**super().get_data_info(idx), "label_reader": self.label_reader}
        if self.panoptic_reader is not None:
            info["panoptic_reader"] = self.panoptic_reader
        return info

    def check_masks(self, count: int = 4) -> None:
        """Read a few masks, spread over the dataset, so that a wrong set-up shows before a run.

        Raises:
            DatasetError: A mask cannot be read or holds labels outside the classes.
        """
        for index in np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int)):
            info = self.get_data_info(int(index))
            self.label_reader.read(
                info["seg_map_path"], info.get("segments"), info.get("label_lookup")
            )
            if self.panoptic_reader is not None:
                path = info.get("panoptic_path") or info["seg_map_path"]
                self.panoptic_reader.read(path, info.get("segments"))

    def _names_in_file(self) -> list[str]:
        path = Path(self.ann_file)
        if not path.is_file():
            raise DatasetError(
                f"List of images {path} of {type(self).__name__} does not exist; check data_root "
                f"(now {self.data_root!r}), or name another list in ann_file ('' uses all images)."
                f"{self._how_to_get()}"
            )
        return read_names(path)


def _names_in(folder: Path, suffix: str) -> list[str]:
    """Names of the files of a folder and its subfolders, without a suffix, in order."""
    return sorted(
        path.relative_to(folder).as_posix()[: -len(suffix)] for path in folder.rglob(f"*{suffix}")
    )


def _exists(path: str, present: dict[str, set[str]]) -> bool:
    """`os.path.exists` that lists each folder once: datasets have many files in few folders."""
    folder, name = os.path.split(path)
    if folder not in present:
        present[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    return name in present[folder]
