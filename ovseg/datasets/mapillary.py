"""Mapillary Vistas 1.2 with its 65 evaluated classes, semantic and panoptic."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from mmseg.datasets import MapillaryDataset_v1

from ovseg.datasets.base import SegmentationDataset
from ovseg.datasets.benchmark_names import benchmark_classes, benchmark_things
from ovseg.datasets.labels import LabelReader, index_lookup
from ovseg.datasets.layouts import Layout
from ovseg.datasets.panoptic import (
    SegmentReader,
    groups_of,
    read_panoptic_json,
    segment_entries,
)
from ovseg.errors import DatasetError
from ovseg.registry import DATASETS

__all__ = ["MapillaryPanoptic65", "MapillaryVistas65"]

#: Value of pixels that are not labelled: the 66th entry of the release's list of classes.
_UNLABELED = 65


@DATASETS.register_module()
class MapillaryVistas65(SegmentationDataset):
    """Mapillary Vistas: ``validation/images/*.jpg`` with the labels of version 1.2.

    Those are ``validation/labels/*.png`` in the release 1.2, and ``validation/v1.2/labels/*.png``
    in the release 2.0, which holds both versions. Value k is class k; 65, unlabelled, is void.
    """

    METAINFO: ClassVar[dict] = dict(
        classes=benchmark_classes("mapillary-65"),
        palette=MapillaryDataset_v1.METAINFO["palette"][:65],
        vocabulary="mapillary-65",
    )
    IMAGES = 2000
    LAYOUTS = (
        Layout("validation/images", "validation/labels"),
        Layout("validation/images", "validation/v1.2/labels"),
    )
    HOW_TO_GET = (
        "Mapillary Vistas (release 1.2 or 2.0) is at https://www.mapillary.com/dataset/vistas, "
        "after registration; unpack it so that {data_root}/validation holds images and, with the "
        "masks of version 1.2, labels (of release 1.2) or v1.2/labels (of release 2.0)."
    )

    def make_label_reader(self) -> LabelReader:
        """Published values; what is not labelled is void."""
        raw = {k: k for k in range(65)} | {_UNLABELED: self.ignore_index}
        table = index_lookup(65, self.ignore_index, raw_to_class=raw, kept=self.kept_classes())
        return LabelReader(len(self._metainfo["classes"]), self.ignore_index, table)


@DATASETS.register_module()
class MapillaryPanoptic65(MapillaryVistas65):
    """Mapillary Vistas with segments: 37 things and 28 stuff classes.

    ``panoptic/panoptic_2018.json`` and ``panoptic/*.png`` beside ``labels``, as the release has
    them. The categories of the file are the classes in their order.

    Args:
        data_root: Folder that holds the dataset.
        split: ``"validation"`` or ``"training"``.
        data_prefix: Folders ``img_path`` and ``seg_map_path``, if they are others.
        **kwargs: As for `SegmentationDataset`.
    """

    METAINFO: ClassVar[dict] = dict(
        **MapillaryVistas65.METAINFO,
        groups=groups_of(benchmark_things("mapillary-65"), 65),
        category_ids=list(range(1, 66)),
    )

    def __init__(
        self,
        *,
        data_root: str | None = None,
        split: str = "validation",
        data_prefix: dict | None = None,
        **kwargs,
    ) -> None:
        lazy_init = kwargs.pop("lazy_init", False)
        root = Path(data_root or "")
        labels = "labels" if (root / split / "labels").is_dir() else "v1.2/labels"
        folders = dict(img_path=f"{split}/images", seg_map_path=f"{split}/{labels}")
        super().__init__(
            data_root=data_root, data_prefix=data_prefix or folders, lazy_init=True, **kwargs
        )
        if self.label_map is not None:
            raise DatasetError(f"{type(self).__name__} has all its 65 classes or none.")
        if not lazy_init:
            self.full_init()

    def find_samples(self) -> list[dict]:
        """Samples of the annotation file, with its segments."""
        image_dir, mask_dir = self.folder("img_path"), self.folder("seg_map_path")
        path = mask_dir.parent / "panoptic" / "panoptic_2018.json"
        if not path.is_file():
            raise DatasetError(
                f"Annotation file {path} of {type(self).__name__} does not exist; unpack the whole "
                f"release.{self._how_to_get()}"
            )
        content = read_panoptic_json(path)
        categories = sorted(content["categories"], key=lambda category: category["id"])
        if len(categories) != 65:
            raise DatasetError(
                f"{path} has {len(categories)} categories, not the 65 of version 1.2 of Mapillary "
                "Vistas; take the annotations of that version."
            )
        things = [i in self._metainfo["groups"]["thing"] for i in range(65)]
        class_of = {category["id"]: index for index, category in enumerate(categories)}
        self.panoptic_reader = SegmentReader(class_of, things)
        samples = []
        for entry in content["annotations"]:
            name = Path(entry["file_name"]).stem
            samples.append(
                dict(
                    img_path=str(image_dir / f"{name}{self.img_suffix}"),
                    seg_map_path=str(mask_dir / f"{name}{self.seg_map_suffix}"),
                    panoptic_path=str(path.parent / entry["file_name"]),
                    segments=segment_entries(entry),
                    image_id=entry["image_id"],
                )
            )
        return sorted(samples, key=lambda sample: sample["img_path"])
