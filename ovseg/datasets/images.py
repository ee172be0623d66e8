"""Images without masks: a folder of them, and boxes on them where a file gives some."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ovseg.datasets.folder import IMAGE_SUFFIXES
from ovseg.errors import DatasetError
from ovseg.registry import DATASETS, TRANSFORMS

# isort: split
from mmengine.dataset import BaseDataset

__all__ = ["ImageFolder", "category_names", "read_boxes"]


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """The images of a folder and its subfolders; no label is needed.

    Args:
        data_root: Folder of the dataset.
        img_path: Folder of the images in it.
        ann_file: A JSON file in the layout of COCO's instances (``images``, ``annotations`` with
            ``bbox`` x, y, width, height), relative to ``data_root``: the boxes of samples
            (``given_boxes``, corners). Only its images are used, those without a box too.
        words: The boxes have words (``category_id``): samples have ``given_labels``, counted along
            the sorted ids of ``categories``, and only images with a box are used.
        length: Take so many of the images, drawn by ``seed``; None takes all.
        seed: Which ones are drawn.
        pipeline: Transforms; the first is usually `LoadImage`.
        test_mode: As in MMEngine.

    Raises:
        DatasetError: A folder or file is missing, there are fewer images in it than asked for, or
            the file is of another layout.
    """

    def __init__(
        self,
        data_root: str = "",
        img_path: str = "",
        ann_file: str = "",
        words: bool = False,
        length: int | None = None,
        seed: int = 0,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
    ) -> None:
        self.folder = Path(data_root, img_path)
        self.words = words
        self.length, self.seed = length, seed
        if words and not ann_file:
            raise DatasetError("ImageFolder: words come with boxes, from a file named ann_file.")
        if not self.folder.is_dir():
            raise DatasetError(
                f"Folder of images {self.folder} does not exist; set data_root and img_path."
            )
        self.boxes_file = Path(data_root, ann_file) if ann_file else None
        super().__init__(
            # Built here, so that a dataset can be made outside a runner as well.
            pipeline=[TRANSFORMS.build(t) if isinstance(t, dict) else t for t in pipeline],
            test_mode=test_mode,
        )
        self._metainfo["image_root"] = str(self.folder)  # given above, it would be read as a file

    def load_data_list(self) -> list[dict]:
        """One small dict for each image, in the order of their names."""
        samples = self._listed() if self.boxes_file else self._found()
        source, wanted = self.boxes_file or self.folder, 1 if self.length is None else self.length
        if not samples:
            raise DatasetError(
                f"There is no image in {source} (looked for {', '.join(sorted(IMAGE_SUFFIXES))}); "
                "set data_root and img_path."
            )
        if not 0 < wanted <= len(samples):
            raise DatasetError(
                f"{source} holds {len(samples)} images, and {wanted} are asked for; set data_root "
                "to another folder, or length to what there is."
            )
        if self.length is not None:
            drawn = np.random.default_rng(self.seed).permutation(len(samples))[: self.length]
            samples = [samples[i] for i in sorted(drawn)]
        # What transforms of mmseg ask of every sample.
        return [
            dict(sample, label_map=None, reduce_zero_label=False, seg_fields=[])
            for sample in samples
        ]

    def _found(self) -> list[dict]:
        paths = (
            os.path.join(folder, name)
            for folder, _, files in os.walk(self.folder)
            for name in files
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")
        )
        return [dict(img_path=path) for path in sorted(paths)]

    def _listed(self) -> list[dict]:
        content = read_boxes(self.boxes_file)
        labels = {number: i for i, number in enumerate(sorted(category_names(content)))}
        boxes: dict[Any, list] = defaultdict(list)
        for entry in content["annotations"]:
            x, y, width, height = entry["bbox"]
            if self.words and entry.get("category_id") not in labels:
                raise DatasetError(
                    f"{self.boxes_file} has a box of category {entry.get('category_id')}, which is "
                    "not among its categories."
                )
            label = labels.get(entry.get("category_id"), -1)
            boxes[entry["image_id"]].append((x, y, x + width, y + height, label))
        samples = []
        for image in content["images"]:
            own = np.array(boxes.get(image["id"], ()), np.float64).reshape(-1, 5)
            if self.words and not len(own):
                continue
            # LVIS gives an address in place of a name.
            name = image.get("file_name") or "/".join(image["coco_url"].split("/")[-2:])
            sample = dict(
                img_path=str(self.folder / name), given_boxes=own[:, :4].astype(np.float32)
            )
            if self.words:
                sample["given_labels"] = own[:, 4].astype(np.int64)
            samples.append(sample)
        return sorted(samples, key=lambda sample: sample["img_path"])


def read_boxes(path: str | Path) -> dict:
    """Content of a file in the layout of COCO's instances.

    Raises:
        DatasetError: It is missing, cannot be read, or is something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        for entry in content["annotations"][:1]:
            entry["bbox"], entry["image_id"]
        for entry in content["images"][:1]:
            entry["id"]
    except FileNotFoundError as error:
        raise DatasetError(f"File of boxes {path} does not exist; check ann_file.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} is not in the layout of COCO's instances ({error!r}): images with id and "
            "file_name, annotations with image_id and bbox."
        ) from error
    return content


def category_names(content: dict) -> dict[int, str]:
    """Names of the categories of such a file, by their ids."""
    return {entry["id"]: entry["name"] for entry in content.get("categories", ())}
