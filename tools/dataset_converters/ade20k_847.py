#!/usr/bin/env python
"""Images and label files of ADE20K with 847 classes, from the full release.

    python tools/dataset_converters/ade20k_847.py data/ADE20K_2021_17_01

Register at https://ade20k.csail.mit.edu (or https://groups.csail.mit.edu/vision/datasets/ADE20K/)
for the full release 2021_17_01 and unpack it, so that there is
ADE20K_2021_17_01/images/ADE/validation/<place>/<scene>/ADE_val_*.jpg with *_seg.png beside each.

Writes what MaskFormer's preparation leaves, which CAT-Seg, FC-CLIP and Trident evaluate on:

  images_detectron2/validation/*.jpg       images; those with a short side above 512 are reduced to
                                           512 (bilinear, JPEG quality 75)
  annotations_detectron2/validation/*.tif  16 bits, the class (0 to 846), 65535 is void; reduced
                                           likewise (nearest)
  validation.txt                           the names of all images, written anew by each run

The same command goes on where an earlier one was interrupted.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from conversion import (
    Job,
    convert_all,
    image_bytes,
    need_folder,
    parser_of,
    run_tool,
)
from PIL import Image

from ovseg.datasets.label_ids import ADE20K_847_IDS
from ovseg.errors import DatasetError

VOID = 65535
SHORT_SIDE = 512


@cache
def _table() -> np.ndarray:
    """Class of each number that red and green of a ``_seg.png`` can spell."""
    table = np.full(26 * 256, VOID, np.uint16)
    table[list(ADE20K_847_IDS)] = np.arange(len(ADE20K_847_IDS))
    return table


def read_labels(path: Path) -> np.ndarray:
    """Classes of a ``_seg.png``: the object's number is 256 x (red // 10) + green.

    Returns:
        (H, W) uint16, 65535 for what is unlabelled or none of the 847 classes.
    """
    red, green = np.moveaxis(_read(path, "RGB")[..., :2].astype(np.int64), -1, 0)
    return _table()[red // 10 * 256 + green]


def reduced_size(height: int, width: int) -> tuple[int, int]:
    """Height and width with a short side of at most 512."""
    if min(height, width) <= SHORT_SIDE:
        return height, width
    if width >= height:
        return SHORT_SIDE, round(width / height * SHORT_SIDE)
    return round(height / width * SHORT_SIDE), SHORT_SIDE


def make(image_path: Path) -> list[bytes]:
    """The reduced image as JPEG and its labels as TIFF."""
    mask_path = image_path.with_name(f"{image_path.stem}_seg.png")
    image, labels = _read(image_path), read_labels(mask_path)
    if image.shape[:2] != labels.shape:
        raise DatasetError(
            f"{mask_path} is {labels.shape[1]} x {labels.shape[0]} pixels but its image "
            f"{image.shape[1]} x {image.shape[0]}; unpack the release again."
        )
    size = reduced_size(*labels.shape)
    if size != labels.shape:
        image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
        labels = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
    return [image_bytes(image, "JPEG"), image_bytes(labels, "TIFF")]


def _read(path: Path, mode: str | None = None) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image if mode is None else image.convert(mode))
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); unpack the release again.") from error


def convert(arguments: argparse.Namespace) -> None:
    """Run the conversion that the command line asks for."""
    root, split = arguments.root, arguments.split
    source = need_folder(
        root / "images" / "ADE" / split,
        "give the folder ADE20K_2021_17_01 of the full release; --help says where it comes from.",
    )
    images = sorted(source.rglob("*.jpg"), key=lambda path: path.name)
    if not images:
        raise DatasetError(f"There are no images *.jpg below {source}; unpack the release again.")
    out = root / "annotations_detectron2" / split
    jobs = [
        Job(
            (root / "images_detectron2" / split / path.name, out / f"{path.stem}.tif"),
            (path,),
        )
        for path in images
    ]
    names = (root / f"{split}.txt", [path.stem for path in images])
    settings = dict(converter="ade20k_847", short_side=SHORT_SIDE)
    record = out / "conversion.json"
    done = convert_all(jobs, make, record, settings, arguments.workers, arguments.overwrite, names)
    print(f"{len(jobs)} images with labels in {out}, {done} of them new.")


def main(argv: list[str] | None = None) -> int:
    """Run the tool; gives its exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--split", choices=("validation", "training"), default="validation")
    arguments = parser.parse_args(argv)
    return run_tool(lambda: convert(arguments))


if __name__ == "__main__":
    sys.exit(main())
