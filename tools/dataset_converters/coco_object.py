#!/usr/bin/env python
"""Label files of COCO-Object (background and 80 things) from what COCO annotates.

    python tools/dataset_converters/coco_object.py data/coco
    python tools/dataset_converters/coco_object.py data/coco --source panoptic

Writes annotations/<split>/*_instanceTrainIds.png: 0 is background, 1 to 80 the things in the order
of their category ids; no pixel is void. Sources, any of which will do (the first that is there is
taken):

  stuff      stuffthingmaps/<split>/*.png, the pixel maps of COCO-Stuff (stuffthingmaps_trainval2017
             .zip, linked from https://github.com/nightrome/cocostuff); also annotations/<split> of
             mmseg's layout. The published numbers come from these. The dataset COCOObject81 also
             reads them as they are, without this tool.
  instances  annotations/instances_<split>.json (annotations_trainval2017.zip, https://cocodataset.org).
             Where things overlap the smaller one lies on top; crowds lie below everything.
  panoptic   annotations/panoptic_<split>.json and annotations/panoptic_<split>/*.png
             (panoptic_annotations_trainval2017.zip, https://cocodataset.org).

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
from conversion import Job, convert_all, image_bytes, need_folder, parser_of, read_json, run_tool
from shapes import region_of

from ovseg.datasets.entries import IDENTIFIER, NUMBER, check_entries
from ovseg.datasets.label_ids import COCO_STUFF_RAW, COCO_THING_IDS
from ovseg.datasets.labels import INVALID, LabelReader, index_lookup
from ovseg.datasets.panoptic import read_panoptic_json
from ovseg.errors import DatasetError

SOURCES = ("stuff", "instances", "panoptic")
SUFFIX = "_instanceTrainIds.png"
CLASS_OF = {category: label for label, category in enumerate(COCO_THING_IDS, start=1)}


# ------------------------------------------------------------ one image


@cache
def _pixel_map_reader() -> LabelReader:
    raw = {r: CLASS_OF.get(r + 1, 0) for r in COCO_STUFF_RAW} | {255: 0}
    return LabelReader(81, 255, index_lookup(81, 255, raw_to_class=raw))


def from_pixel_map(path: Path) -> list[bytes]:
    """Labels of a pixel map of COCO-Stuff: its stuff and unlabeled pixels are background."""
    return [image_bytes(_pixel_map_reader().read(path))]


def from_panoptic(path: Path, segments: Sequence[tuple[int, int]]) -> list[bytes]:
    """Labels of a panoptic PNG and its (segment id, category id): all but things is background."""
    table = np.full(max((category for _, category in segments), default=0) + 1, INVALID, np.int32)
    for _, category in segments:
        if category >= 0:
            table[category] = CLASS_OF.get(category, 0)
    labels = LabelReader(81, 255, table, panoptic=True).read(path, segments)
    return [image_bytes(np.where(labels == 255, 0, labels).astype(np.uint8))]


def from_instances(path: Path, height: int, width: int, annotations: Sequence[dict]) -> list[bytes]:
    """Labels of the annotations of an image: crowds, then things from the largest on, painted over.

    Args:
        path: The annotation file, for errors.
        height: Height of the image.
        width: Its width.
        annotations: Entries of the file.

    Raises:
        DatasetError: A category is none of COCO's 80, or a region cannot be drawn.
    """
    labels = np.zeros((height, width), np.uint8)
    for entry in sorted(annotations, key=lambda a: (-a.get("iscrowd", 0), -a["area"], a["id"])):
        if entry["category_id"] not in CLASS_OF:
            raise DatasetError(
                f"Annotation {entry['id']} is of category {entry['category_id']}, which is none of "
                f"COCO's 80; is {path} COCO's own instances file?"
            )
        try:
            region = region_of(entry["segmentation"], height, width)
        except ValueError as error:
            raise DatasetError(
                f"Annotation {entry['id']} of {path} cannot be drawn: {error}; fetch the file "
                "again, or correct or remove the annotation."
            ) from error
        labels[region] = CLASS_OF[entry["category_id"]]
    return [image_bytes(labels)]


# ------------------------------------------------------------ all images


def _pixel_maps(root: Path, split: str) -> list[Path]:
    for folder in (root / "stuffthingmaps" / split, root / "annotations" / split):
        found = sorted(p for p in folder.glob("*.png") if "TrainIds" not in p.name)
        if found:
            return found
    return []


def choose_source(root: Path, split: str) -> str:
    """The first source that is there.

    Raises:
        DatasetError: None is.
    """
    annotations = root / "annotations"
    if _pixel_maps(root, split):
        return "stuff"
    for source in ("instances", "panoptic"):
        if (annotations / f"{source}_{split}.json").is_file():
            return source
    raise DatasetError(
        f"{root} holds neither stuffthingmaps/{split}/*.png nor annotations/instances_{split}.json "
        f"nor annotations/panoptic_{split}.json; --help says where they come from."
    )


def jobs_of(root: Path, split: str, source: str, out: Path) -> tuple[list[Job], object]:
    """One job for each image, and the function that does it.

    Raises:
        DatasetError: The source is not there, not whole, or names no image.
    """
    if source == "stuff":
        maps = _pixel_maps(root, split)
        if not maps:
            raise DatasetError(
                f"There are no pixel maps in {root / 'stuffthingmaps' / split} or "
                f"{root / 'annotations' / split}; --help says where they come from."
            )
        return [_job(out, path.name, path) for path in maps], from_pixel_map
    path = root / "annotations" / f"{source}_{split}.json"
    if not path.is_file():
        raise DatasetError(f"{path} does not exist; --help says where it comes from.")
    jobs = (_panoptic_jobs if source == "panoptic" else _instance_jobs)(path, out)
    if not jobs:
        raise DatasetError(f"{path} names no image; fetch it again.")
    return jobs, from_panoptic if source == "panoptic" else from_instances


def _job(out: Path, name: str, *arguments: object) -> Job:
    return Job((out / (Path(name).stem + SUFFIX),), arguments)


def _panoptic_jobs(path: Path, out: Path) -> list[Job]:
    content = read_panoptic_json(path)
    folder = need_folder(path.with_suffix(""), f"unpack {path.stem}.zip there.")
    names = [entry["file_name"] for entry in content["annotations"]]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(names)} masks are missing in {folder}, the first is "
            f"{missing[0]}; unpack {path.stem}.zip there again."
        )
    return [
        _job(
            out, name, folder / name, [(s["id"], s["category_id"]) for s in entry["segments_info"]]
        )
        for name, entry in zip(names, content["annotations"], strict=True)
    ]


def _instance_jobs(path: Path, out: Path) -> list[Job]:
    content = read_json(path, ("images", "annotations"))
    fields = dict(id=IDENTIFIER, file_name=(str,), height=(int,), width=(int,))
    check_entries(content["images"], f"images of {path}", fields)
    fields = dict(
        id=(int,), image_id=IDENTIFIER, category_id=(int,), segmentation=(list, dict), area=NUMBER
    )
    check_entries(
        content["annotations"], f"annotations of {path}", fields, dict(iscrowd=(int, bool))
    )
    of_image = defaultdict(list)
    kept = ("id", "category_id", "segmentation", "area", "iscrowd")
    for entry in content["annotations"]:
        of_image[entry["image_id"]].append({key: entry[key] for key in kept if key in entry})
    return [  # images without any thing are all background
        _job(out, i["file_name"], path, i["height"], i["width"], of_image[i["id"]])
        for i in content["images"]
    ]


def convert(arguments: argparse.Namespace) -> None:
    """Run the conversion that the command line asks for."""
    source = arguments.source or choose_source(arguments.root, arguments.split)
    out = arguments.out or arguments.root / "annotations" / arguments.split
    jobs, make = jobs_of(arguments.root, arguments.split, source, out)
    settings = dict(converter="coco_object", source=source)
    record = out / "conversion.json"
    done = convert_all(jobs, make, record, settings, arguments.workers, arguments.overwrite)
    print(f"{len(jobs)} label files from {source} in {out}, {done} of them new.")


def main(argv: list[str] | None = None) -> int:
    """Run the tool; gives its exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--split", default="val2017", help="default: %(default)s")
    parser.add_argument("--source", choices=SOURCES, help="default: the first that is there")
    parser.add_argument("--out", type=Path, help="default: ROOT/annotations/SPLIT")
    arguments = parser.parse_args(argv)
    return run_tool(lambda: convert(arguments))


if __name__ == "__main__":
    sys.exit(main())
