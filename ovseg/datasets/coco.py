"""COCO: panoptic masks read as 133 semantic classes, and COCO-Stuff 164k with 171 classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
from mmseg.datasets import COCOStuffDataset

from ovseg.datasets.base import SegmentationDataset
from ovseg.datasets.labels import INVALID, LabelReader, index_lookup
from ovseg.errors import DatasetError
from ovseg.registry import DATASETS

__all__ = ["COCOPanoptic133", "COCOStuff171"]


def _read_panoptic_json(path: Path) -> dict:
    """Content of an annotation file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["categories"], content["annotations"], content["images"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"Annotation file {path} is not a COCO panoptic file ({error!r}); fetch it again."
        ) from error
    return content


@DATASETS.register_module()
class COCOPanoptic133(SegmentationDataset):
    """COCO panoptic ground truth as a semantic task, in COCO's own layout.

    ``annotations/panoptic_val2017.json`` with the PNGs of the same name beside it and ``val2017``
    with the photographs. Classes are the categories of the file in its order: 80 things, then 53
    stuff classes. Pixels of crowd segments count as their class; unlabelled pixels are void.

    Args:
        ann_file: The JSON file.
        **kwargs: As for `SegmentationDataset`.
    """

    METAINFO: ClassVar[dict] = dict(vocabulary="coco-panoptic-133")

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
                "the folder that holds COCO's `annotations`."
            )
        self._content: dict | None = _read_panoptic_json(path)
        self._categories = categories = self._content["categories"]
        things = [i for i, c in enumerate(categories) if c["isthing"]]
        info = dict(
            classes=tuple(c["name"] for c in categories),
            palette=[c["color"] for c in categories if "color" in c],
            groups=dict(thing=things, stuff=sorted(set(range(len(categories))) - set(things))),
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

    def find_samples(self) -> list[dict]:
        """Samples of the annotation file, with the category of each segment."""
        image_dir, mask_dir = self.folder("img_path"), self.folder("seg_map_path")
        content, self._content = self._content, None  # of train2017 it is over a gigabyte
        names = {image["id"]: image["file_name"] for image in content["images"]}
        samples = [
            dict(
                img_path=str(image_dir / names[entry["image_id"]]),
                seg_map_path=str(mask_dir / entry["file_name"]),
                segments=[(s["id"], s["category_id"]) for s in entry["segments_info"]],
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


#: Category ids (less one) that COCO left unused; the 171 others keep their order.
_UNUSED = frozenset({11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90})
_STUFF_RAW = tuple(raw for raw in range(182) if raw not in _UNUSED)


@DATASETS.register_module()
class COCOStuff171(SegmentationDataset):
    """COCO-Stuff 164k with 171 classes: ``val2017/*.jpg``, ``stuffthingmaps/val2017/*.png``.

    The pixel maps are read as published (values up to 181 with gaps); the converted
    ``*_labelTrainIds.png`` of mmseg are taken with
    ``seg_map_suffix="_labelTrainIds.png", converted=True``.
    """

    METAINFO: ClassVar[dict] = dict(
        **COCOStuffDataset.METAINFO,
        vocabulary="coco-stuff-171",
        groups=dict(thing=list(range(80)), stuff=list(range(80, 171))),
    )

    def __init__(
        self,
        *,
        data_prefix: dict | None = None,
        img_suffix: str = ".jpg",
        converted: bool = False,
        **kwargs,
    ) -> None:
        self.converted = converted
        super().__init__(
            data_prefix=data_prefix
            or dict(img_path="val2017", seg_map_path="stuffthingmaps/val2017"),
            img_suffix=img_suffix,
            **kwargs,
        )

    def make_label_reader(self) -> LabelReader:
        """Published values to the 171 classes."""
        raw = None if self.converted else {r: k for k, r in enumerate(_STUFF_RAW)}
        table = index_lookup(171, self.ignore_index, raw_to_class=raw, kept=self.kept_classes())
        return LabelReader(len(self._metainfo["classes"]), self.ignore_index, table)
