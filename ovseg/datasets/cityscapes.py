"""Cityscapes with its 19 evaluated classes, semantic and panoptic."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from mmseg.datasets import CityscapesDataset

from ovseg.datasets.base import SegmentationDataset
from ovseg.datasets.benchmark_names import benchmark_things
from ovseg.datasets.labels import index_lookup
from ovseg.datasets.layouts import Layout
from ovseg.datasets.panoptic import InstanceIdReader, groups_of
from ovseg.errors import DatasetError
from ovseg.registry import DATASETS

__all__ = ["Cityscapes19", "CityscapesPanoptic19"]

#: ``labelIds`` of the evaluated classes, in the order of their ``trainId`` (labels.py of
#: cityscapesScripts).
_LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
#: The other ids of labels.py, which are void. License plates, -1, are not drawn into the masks.
_VOID_IDS = frozenset(range(34)) - frozenset(_LABEL_IDS)


@DATASETS.register_module()
class Cityscapes19(SegmentationDataset):
    """Cityscapes: ``leftImg8bit/val/<city>/*_leftImg8bit.png`` with ``gtFine/val/<city>``.

    ``*_gtFine_labelTrainIds.png`` are read where they exist, else the ``*_gtFine_labelIds.png``
    that the download brings, turned into train ids on the fly.
    """

    IMAGES = 500
    METAINFO: ClassVar[dict] = dict(**CityscapesDataset.METAINFO, vocabulary="cityscapes-19")
    LAYOUTS = (
        Layout(
            "leftImg8bit/val",
            "gtFine/val",
            img_suffix="_leftImg8bit.png",
            seg_map_suffix="_gtFine_labelTrainIds.png",
        ),
    )
    HOW_TO_GET = (
        "Register at https://www.cityscapes-dataset.com for leftImg8bit_trainvaltest.zip and "
        "gtFine_trainvaltest.zip, and unpack both into {data_root}."
    )

    def find_samples(self) -> list[dict]:
        """Samples with the masks that are there: train ids, or else label ids."""
        samples = super().find_samples()
        for sample in samples:
            train_ids = Path(sample["seg_map_path"])
            label_ids = Path(str(train_ids).replace("_labelTrainIds.png", "_labelIds.png"))
            if not train_ids.exists():
                if not label_ids.exists():
                    raise DatasetError(
                        f"Neither {train_ids} nor {label_ids.name} beside it exists; unpack "
                        "gtFine_trainvaltest into the folder of the dataset."
                    )
                sample["seg_map_path"] = str(label_ids)
        return samples

    def get_data_info(self, idx: int) -> dict:
        """Sample dict; masks of label ids come with their own table."""
        info = super().get_data_info(idx)
        if info["seg_map_path"].endswith("_labelIds.png"):
            info["label_lookup"] = self._label_id_table()
        return info

    def _label_id_table(self) -> np.ndarray:
        void = dict.fromkeys((*_VOID_IDS, 255), self.ignore_index)  # 255: -1 in 8 bits
        raw = void | {raw: k for k, raw in enumerate(_LABEL_IDS)}
        return index_lookup(19, self.ignore_index, raw_to_class=raw, kept=self.kept_classes())


@DATASETS.register_module()
class CityscapesPanoptic19(Cityscapes19):
    """Cityscapes with segments: 8 things and 11 stuff classes.

    The segments are read from the ``*_gtFine_instanceIds.png`` that the download brings, by the
    rules of the benchmark's own preparation (cityscapesScripts, ``createPanopticImgs``): things
    that were not told apart are crowds, classes that are not evaluated are void, and numbers that
    are no class are errors.

    Args:
        data_root: Folder that holds the dataset.
        split: ``"val"`` or ``"train"``.
        data_prefix: Folders ``img_path`` and ``seg_map_path``, if they are others.
        **kwargs: As for `SegmentationDataset`.
    """

    METAINFO: ClassVar[dict] = dict(
        **Cityscapes19.METAINFO,
        groups=groups_of(benchmark_things("cityscapes-19"), 19),
        category_ids=list(_LABEL_IDS),
    )

    def __init__(
        self,
        *,
        data_root: str | None = None,
        split: str = "val",
        data_prefix: dict | None = None,
        **kwargs,
    ) -> None:
        lazy_init = kwargs.pop("lazy_init", False)
        folders = dict(img_path=f"leftImg8bit/{split}", seg_map_path=f"gtFine/{split}")
        super().__init__(
            data_root=data_root, data_prefix=data_prefix or folders, lazy_init=True, **kwargs
        )
        if self.label_map is not None:
            raise DatasetError(f"{type(self).__name__} has all its 19 classes or none.")
        things = [i in self._metainfo["groups"]["thing"] for i in range(19)]
        class_of = {raw: index for index, raw in enumerate(_LABEL_IDS)}
        self.panoptic_reader = InstanceIdReader(
            class_of, things, void_classes=_VOID_IDS, bare_below=1000
        )
        if not lazy_init:
            self.full_init()

    def find_samples(self) -> list[dict]:
        """Samples with the masks of instances beside those of classes."""
        samples = super().find_samples()
        for sample in samples:
            stem = sample["seg_map_path"].rpartition("_gtFine_")[0]
            sample["panoptic_path"] = f"{stem}_gtFine_instanceIds.png"
            sample["image_id"] = Path(stem).name
        return samples
