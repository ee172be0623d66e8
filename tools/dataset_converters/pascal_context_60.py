#!/usr/bin/env python
"""Label files of PASCAL Context with 59 classes and background; the Detail API is not needed.

    python tools/dataset_converters/pascal_context_60.py data/VOCdevkit/VOC2010

ROOT is VOCdevkit/VOC2010 of VOCtrainval_03-May-2010.tar
(http://host.robots.ox.ac.uk/pascal/VOC/voc2010/), with either of these in it (the first that is
there is taken):

  json  trainval_merged.json of PASCAL in Detail
        (https://codalabuser.blob.core.windows.net/public/trainval_merged.json), which mmseg's
        preparation reads
  mat   the folder trainval of trainval.tar.gz
        (https://www.cs.stanford.edu/~roozbeh/pascal-context/): all 459 classes, of which the 59 are
        taken and the others become background

Writes SegmentationClassContext/*.png (0 background, then the classes in alphabetical order) and,
where it is missing or this tool wrote it, ImageSets/SegmentationContext/<split>.txt. A list of
other hands stays; it is an error if it names other images than the json.

The same command goes on where an earlier one was interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from conversion import (
    Job,
    convert_all,
    image_bytes,
    parser_of,
    read_json,
    run_tool,
)
from pascal_context import NUM_CLASSES, image_list, image_names, read_label_map
from shapes import region_of

from ovseg.datasets.entries import IDENTIFIER, check_entries
from ovseg.datasets.label_ids import PASCAL_CONTEXT_59_IDS
from ovseg.errors import DatasetError

JSON = "trainval_merged.json"


@cache
def _table() -> np.ndarray:
    """Class, or 0 for background, of each of the 459 numbers."""
    table = np.zeros(NUM_CLASSES + 1, np.uint8)
    table[list(PASCAL_CONTEXT_59_IDS)] = np.arange(1, 60)
    return table


def from_mat(path: Path) -> list[bytes]:
    """Labels of a ``.mat`` file as PNG."""
    return [image_bytes(_table()[read_label_map(path)])]


def from_segments(
    path: Path, name: str, height: int, width: int, segments: Sequence[tuple[int, dict]]
) -> list[bytes]:
    """Labels of (category id, run-length encoding), painted over each other in their order.

    Args:
        path: The annotation file, for errors.
        name: Name of the image, for errors.
        height: Height of the image.
        width: Its width.
        segments: Category ids, those above 459 are background, and regions.

    Raises:
        DatasetError: A category is none, or a region cannot be drawn.
    """
    labels = np.zeros((height, width), np.uint8)
    for number, (category, shape) in enumerate(segments):
        place = f"Segment {number} of image {name} in {path}"
        if category < 0:
            raise DatasetError(f"{place} is of category {category}, which is none; fetch it again.")
        try:
            region = region_of(shape, height, width)
        except ValueError as error:
            raise DatasetError(
                f"{place} cannot be drawn: {error}; fetch the file again."
            ) from error
        labels[region] = _table()[category] if category <= NUM_CLASSES else 0
    return [image_bytes(labels)]


def _from_json(path: Path, split: str) -> dict[str, tuple]:
    """For each image of a split, by name, the arguments of `from_segments`."""
    content = read_json(path, ("images", "annos_segmentation"))
    fields = dict(image_id=IDENTIFIER, file_name=(str,), height=(int,), width=(int,), phase=(str,))
    check_entries(content["images"], f"images of {path}", fields)
    fields = dict(image_id=IDENTIFIER, category_id=(int,), segmentation=(list, dict))
    check_entries(content["annos_segmentation"], f"annos_segmentation of {path}", fields)
    images = {i["image_id"]: i for i in content["images"] if i["phase"] == split}
    segments = defaultdict(list)
    for entry in content["annos_segmentation"]:
        if entry["image_id"] in images:
            segments[entry["image_id"]].append((entry["category_id"], entry["segmentation"]))
    if not images:
        raise DatasetError(f"{path} has no images of the phase {split!r}; fetch it again.")
    return {
        name: (path, name, image["height"], image["width"], segments[key])
        for key, image in images.items()
        for name in [Path(image["file_name"]).stem]
    }


def convert(arguments: argparse.Namespace) -> None:
    """Run the conversion that the command line asks for."""
    root, split = arguments.root, arguments.split
    there = dict(json=(root / JSON).is_file(), mat=(root / "trainval").is_dir())
    source = arguments.source or next((name for name in there if there[name]), None)
    if source is None or not there[source]:
        wanted = dict(json=JSON, mat="folder trainval of .mat files")
        missing = " nor ".join(wanted[s] for s in ([source] if source else wanted))
        raise DatasetError(
            f"{root} holds no {missing}; --help says where to get it, and that ROOT is VOC2010."
        )
    out = root / "SegmentationClassContext"
    record = out / f"conversion_{split}.json"
    if source == "json":
        of_image, make = _from_json(root / JSON, split), from_segments
    else:
        names = image_names(root, split, record)
        of_image, make = {name: (root / "trainval" / f"{name}.mat",) for name in names}, from_mat
    jobs = [Job((out / f"{name}.png",), inputs) for name, inputs in of_image.items()]
    settings = dict(converter="pascal_context_60", source=source)
    listed = (image_list(root, split), list(of_image))
    done = convert_all(jobs, make, record, settings, arguments.workers, arguments.overwrite, listed)
    print(f"{len(jobs)} label files from {source} in {out}, {done} of them new.")


def main(argv: list[str] | None = None) -> int:
    """Run the tool; gives its exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--split", choices=("val", "train"), default="val")
    parser.add_argument("--source", choices=("json", "mat"), help="default: what is there")
    arguments = parser.parse_args(argv)
    return run_tool(lambda: convert(arguments))


if __name__ == "__main__":
    sys.exit(main())
