"""COCO: panoptic masks as 133 semantic classes, COCO-Stuff 164k with 171, COCO-Object with 81."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from mmseg.datasets import COCOStuffDataset

from ovseg.datasets.base import SegmentationDataset
from ovseg.datasets.benchmark_names import benchmark_palette
from ovseg.datasets.entries import check_entries
from ovseg.datasets.label_ids import COCO_STUFF_RAW
from ovseg.datasets.labels import INVALID, LabelReader, index_lookup
from ovseg.datasets.layouts import Layout
from ovseg.datasets.panoptic import (
    SegmentReader,
    groups_of,
    read_panoptic_json,
    segment_entries,
)
from ovseg.errors import DatasetError
from ovseg.registry import DATASETS

__all__ = ["COCOObject81", "COCOPanoptic133", "COCOStuff171"]

_OBJECT_SUFFIX = "_instanceTrainIds.png"


@DATASETS.register_module()
class COCOPanoptic133(SegmentationDataset):
    """COCO panoptic, in COCO's own layout.

    ``annotations/panoptic_val2017.json`` with the PNGs of the same name beside it and ``val2017``
    with the photographs. Classes are the categories of the file in its order: 80 things, then 53
    stuff classes. Read with `LoadPanoptic` it gives the segments. Read with `LoadMask` it is a
    semantic task: pixels of crowd segments count as their class; unlabelled pixels are void.

    Args:
        ann_file: The JSON file.
        **kwargs: As for `SegmentationDataset`.
    """

    IMAGES = 5000
    METAINFO: ClassVar[dict] = dict(vocabulary="coco-panoptic-133")
    HOW_TO_GET = (
        "val2017.zip and panoptic_annotations_trainval2017.zip are at https://cocodataset.org; "
        "unpack the panoptic_val2017.zip inside the latter as well."
    )

    def __init__(
        self,
        *,
        data_root: str | None = None,
        ann_file: str = "annotations/panoptic_val2017.json",
        data_prefix: dict | None = None,
        metainfo: dict | None = None,
        **kwargs,
    ) -> None:
        path = Path(data_root or "") / ann_file
        if not path.is_file():
            raise DatasetError(
                f"Annotation file {path} of {type(self).__name__} does not exist; set data_root to "
                "the folder that holds COCO's `annotations`. "
                f"{self.HOW_TO_GET}"
            )
        self._content: dict | None = read_panoptic_json(path)
        self._categories = categories = self._content["categories"]
        fields = dict(name=(str,), isthing=(int, bool))
        check_entries(categories, f"categories of {path}", fields, dict(color=(list,)))
        things = [i for i, c in enumerate(categories) if c["isthing"]]
        info = dict(
            classes=tuple(c["name"] for c in categories),
            palette=[c["color"] for c in categories if "color" in c],
            groups=groups_of(things, len(categories)),
            category_ids=[c["id"] for c in categories],
        )
        if metainfo and metainfo.get("classes") not in (None, info["classes"]):
            raise DatasetError(
                f"{type(self).__name__} takes its classes from {path}; it cannot be given others."
            )
        split = path.stem.removeprefix("panoptic_")
        super().__init__(
            data_root=data_root,
            ann_file=ann_file,
            data_prefix=data_prefix
            or dict(img_path=split, seg_map_path=f"annotations/panoptic_{split}"),
            metainfo={**info, **(metainfo or {})},
            **kwargs,
        )
        self.panoptic_reader = SegmentReader(
            {category["id"]: index for index, category in enumerate(categories)},
            [bool(category["isthing"]) for category in categories],
        )

    def find_samples(self) -> list[dict]:
        """Samples of the annotation file, with its segments."""
        image_dir, mask_dir = self.folder("img_path"), self.folder("seg_map_path")
        content, self._content = self._content, None  # of train2017 it is over a gigabyte
        names = {image["id"]: image["file_name"] for image in content["images"]}
        samples = [
            dict(
                img_path=str(image_dir / names[entry["image_id"]]),
                seg_map_path=str(mask_dir / entry["file_name"]),
                segments=segment_entries(entry),
                image_id=entry["image_id"],
            )
            for entry in content["annotations"]
            if entry["image_id"] in names
        ]
        return sorted(samples, key=lambda sample: sample["img_path"])

    def make_label_reader(self) -> LabelReader:
        """Category ids of the file, to their position in it."""
        ids = [category["id"] for category in self._categories]
        table = np.full(max(ids) + 1, INVALID, np.int32)
        table[ids] = np.arange(len(ids))
        return LabelReader(len(ids), self.ignore_index, table, panoptic=True)


_IMAGES = "the photographs (val2017.zip) are at http://images.cocodataset.org/zips/val2017.zip"
_PIXEL_MAPS = (
    "the pixel maps (stuffthingmaps_trainval2017.zip) are linked from "
    "https://github.com/nightrome/cocostuff"
)


@DATASETS.register_module()
class COCOStuff171(SegmentationDataset):
    """COCO-Stuff 164k with 171 classes: ``val2017/*.jpg``, ``stuffthingmaps/val2017/*.png``.

    The pixel maps are read as published (values up to 181 with gaps), and so are the
    ``*_labelTrainIds.png`` that mmseg's converter makes of them. The folders may also be mmseg's:
    ``images/val2017`` and ``annotations/val2017``.

    Args:
        converted: Whether masks hold the classes themselves; by default what their suffix says.
        **kwargs: As for `SegmentationDataset`.
    """

    IMAGES = 5000
    METAINFO: ClassVar[dict] = dict(
        **COCOStuffDataset.METAINFO,
        vocabulary="coco-stuff-171",
        groups=dict(thing=list(range(80)), stuff=list(range(80, 171))),
    )
    LAYOUTS = (
        Layout("val2017", "stuffthingmaps/val2017"),
        Layout("images/val2017", "annotations/val2017", seg_map_suffix="_labelTrainIds.png"),
        Layout("images/val2017", "annotations/val2017"),
    )
    HOW_TO_GET = f"Unpack both into {{data_root}}: {_IMAGES}, {_PIXEL_MAPS}."

    def __init__(self, *, converted: bool | None = None, **kwargs) -> None:
        self.converted = converted
        super().__init__(**kwargs)

    def make_label_reader(self) -> LabelReader:
        """Published values to the 171 classes."""
        converted = self.converted
        if converted is None:
            converted = self.seg_map_suffix.endswith("_labelTrainIds.png")
        raw = None if converted else {r: k for k, r in enumerate(COCO_STUFF_RAW)}
        table = index_lookup(171, self.ignore_index, raw_to_class=raw, kept=self.kept_classes())
        return LabelReader(len(self._metainfo["classes"]), self.ignore_index, table)


@DATASETS.register_module()
class COCOObject81(SegmentationDataset):
    """COCO-Object: background and COCO's 80 things; everything else, unlabeled too, is background.

    There is no void. Read are, in this order, the ``*_instanceTrainIds.png`` that the published
    converter and `tools/dataset_converters/coco_object.py` write to ``annotations/val2017``
    (0 background, then the things in the order of their ids), or the pixel maps of COCO-Stuff as
    published, which hold the same: ``stuffthingmaps/val2017`` or ``annotations/val2017``.
    Photographs are in ``val2017`` or ``images/val2017``.
    """

    IMAGES = 5000
    METAINFO: ClassVar[dict] = dict(
        classes=("background", *COCOStuffDataset.METAINFO["classes"][:80]),
        palette=benchmark_palette(81, first=0),
        vocabulary="coco-object-81",
    )
    LAYOUTS = (
        Layout("val2017", "annotations/val2017", seg_map_suffix=_OBJECT_SUFFIX),
        Layout("images/val2017", "annotations/val2017", seg_map_suffix=_OBJECT_SUFFIX),
        Layout("val2017", "stuffthingmaps/val2017", seg_map_suffix=_OBJECT_SUFFIX),
        Layout("val2017", "stuffthingmaps/val2017"),
        Layout("images/val2017", "annotations/val2017"),
    )
    HOW_TO_GET = (
        f"Unpack into {{data_root}}: {_IMAGES}; {_PIXEL_MAPS} and are read as they are. Or make "
        "label files of COCO's instances_val2017.json or panoptic masks: "
        "python tools/dataset_converters/coco_object.py {data_root}"
    )

    def make_label_reader(self) -> LabelReader:
        """Label files hold the classes; in pixel maps all but things become background."""
        raw = None
        if not self.seg_map_suffix.endswith(_OBJECT_SUFFIX):
            raw = {r: k + 1 if k < 80 else 0 for k, r in enumerate(COCO_STUFF_RAW)} | {255: 0}
        table = index_lookup(81, self.ignore_index, raw_to_class=raw, kept=self.kept_classes())
        return LabelReader(len(self._metainfo["classes"]), self.ignore_index, table)
