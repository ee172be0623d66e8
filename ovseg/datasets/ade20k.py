"""ADE20K: the challenge with 150 classes (also panoptic), and the full release with 847."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from mmseg.datasets import ADE20KDataset

from ovseg.datasets.base import SegmentationDataset
from ovseg.datasets.benchmark_names import (
    benchmark_classes,
    benchmark_palette,
    benchmark_things,
)
from ovseg.datasets.layouts import Layout
from ovseg.datasets.panoptic import (
    SegmentReader,
    groups_of,
    read_panoptic_json,
    segment_entries,
)
from ovseg.errors import DatasetError
from ovseg.registry import DATASETS

__all__ = ["ADE20K150", "ADE20K847", "ADE20KPanoptic150"]


@DATASETS.register_module()
class ADE20K150(SegmentationDataset):
    """ADE20K, 150 classes: ``images/validation/*.jpg``, ``annotations/validation/*.png``.

    Raw 0 is void, raw k is class k - 1.
    """

    IMAGES = 2000
    METAINFO: ClassVar[dict] = dict(**ADE20KDataset.METAINFO, vocabulary="ade20k-150")
    LAYOUTS = (Layout("images/validation", "annotations/validation", reduce_zero_label=True),)
    HOW_TO_GET = (
        "ADEChallengeData2016.zip is at http://data.csail.mit.edu/places/ADEchallenge/ (see "
        "http://sceneparsing.csail.mit.edu); unpack it and set data_root to it."
    )


@DATASETS.register_module()
class ADE20KPanoptic150(ADE20K150):
    """ADE20K with segments: 100 things and 50 stuff classes.

    ``ade20k_panoptic_val.json`` and ``ade20k_panoptic_val/*.png`` beside the images and masks of
    `ADE20K150`, as `tools/dataset_converters/ade20k_panoptic.py` and the preparation of Mask2Former
    and FC-CLIP make them. ``seg_map_path`` stays the semantic mask.

    Args:
        data_root: Folder that holds the dataset.
        split: ``"val"`` or ``"train"``.
        data_prefix: Folders ``img_path`` and ``seg_map_path``, if they are others.
        **kwargs: As for `SegmentationDataset`.
    """

    METAINFO: ClassVar[dict] = dict(
        **ADE20K150.METAINFO,
        groups=groups_of(benchmark_things("ade20k-150"), 150),
        category_ids=list(range(150)),
    )
    HOW_TO_GET = (
        f"{ADE20K150.HOW_TO_GET} Unpack annotations_instance.tar, which is linked from "
        "http://sceneparsing.csail.mit.edu, there as well, and run: "
        "python tools/dataset_converters/ade20k_panoptic.py {data_root}"
    )

    def __init__(
        self,
        *,
        data_root: str | None = None,
        split: str = "val",
        data_prefix: dict | None = None,
        **kwargs,
    ) -> None:
        folders = {"val": "validation", "train": "training"}
        if split not in folders:
            raise DatasetError(f"{type(self).__name__}: split is 'val' or 'train', not {split!r}.")
        self.split = split
        lazy_init = kwargs.pop("lazy_init", False)
        names = dict(
            img_path=f"images/{folders[split]}", seg_map_path=f"annotations/{folders[split]}"
        )
        super().__init__(
            data_root=data_root, data_prefix=data_prefix or names, lazy_init=True, **kwargs
        )
        if self.label_map is not None:
            raise DatasetError(f"{type(self).__name__} has all its 150 classes or none.")
        if not lazy_init:
            self.full_init()

    def find_samples(self) -> list[dict]:
        """Samples of the annotation file, with its segments."""
        root = Path(self.data_root or "")
        path = root / f"ade20k_panoptic_{self.split}.json"
        if not path.is_file():
            raise DatasetError(
                f"Annotation file {path} of {type(self).__name__} does not exist; make it of the "
                f"semantic and the instance masks.{self._how_to_get()}"
            )
        content = read_panoptic_json(path)
        ids = [category["id"] for category in content["categories"]]
        if len(ids) != 150:
            raise DatasetError(f"{path} has {len(ids)} categories, not the 150 of ADE20K.")
        things = [i in self._metainfo["groups"]["thing"] for i in range(150)]
        self.panoptic_reader = SegmentReader({c: i for i, c in enumerate(ids)}, things)
        image_dir, mask_dir = self.folder("img_path"), self.folder("seg_map_path")
        samples = []
        for entry in content["annotations"]:
            name = Path(entry["file_name"]).stem
            samples.append(
                dict(
                    img_path=str(image_dir / f"{name}{self.img_suffix}"),
                    seg_map_path=str(mask_dir / f"{name}{self.seg_map_suffix}"),
                    panoptic_path=str(path.with_suffix("") / entry["file_name"]),
                    segments=segment_entries(entry),
                    image_id=entry["image_id"],
                )
            )
        return sorted(samples, key=lambda sample: sample["img_path"])


@DATASETS.register_module()
class ADE20K847(SegmentationDataset):
    """ADE20K, 847 classes, as MaskFormer's preparation leaves it.

    ``images_detectron2/validation/*.jpg`` with ``annotations_detectron2/validation/*.tif`` of 16
    bits: the class itself, 65535 is void. ``validation.txt`` tells the images where it exists.
    Images are not those of the release but smaller ones (short side 512), and so are the masks
    that scores count. `tools/dataset_converters/ade20k_847.py` makes all three.
    """

    IMAGES = 2000
    METAINFO: ClassVar[dict] = dict(
        classes=benchmark_classes("ade20k-847"),
        palette=benchmark_palette(847),
        vocabulary="ade20k-847",
    )
    LAYOUTS = tuple(
        Layout(
            "images_detectron2/validation",
            "annotations_detectron2/validation",
            ann_file=names,
            seg_map_suffix=".tif",
        )
        for names in ("validation.txt", "")
    )
    HOW_TO_GET = (
        "Register at https://ade20k.csail.mit.edu for the full release (ADE20K_2021_17_01), unpack "
        "it, and run: python tools/dataset_converters/ade20k_847.py {data_root}"
    )

    def __init__(self, *, ignore_index: int = 65535, **kwargs) -> None:
        super().__init__(ignore_index=ignore_index, **kwargs)
