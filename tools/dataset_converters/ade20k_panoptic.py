#!/usr/bin/env python
"""Panoptic masks of ADE20K (100 things, 50 stuff classes) from its semantic and instance masks.

    python tools/dataset_converters/ade20k_panoptic.py data/ADEChallengeData2016

ADEChallengeData2016.zip and annotations_instance.tar (of the Places challenge 2017) are linked from
http://sceneparsing.csail.mit.edu. Unpack the second inside the first, so that there are

  annotations/validation/*.png            class + 1, 0 is void
  annotations_instance/validation/*.png   red: number of the thing's class (1 to 100),
                                          green: number of the instance, 0 is none

Writes ade20k_panoptic_val/*.png (segment ids, R + 256 G + 256^2 B) and ade20k_panoptic_val.json in
COCO's panoptic layout, by the rules of the published preparation that Mask2Former and FC-CLIP are
scored with: stuff from the semantic masks, then each instance on top of it; pixels of things that
no instance covers are void. The area of stuff counts the pixels under things too, as published.

The same command goes on where an earlier one was interrupted.
"""

from __future__ import annotations

import argparse
import io
import json
import struct
import sys
from pathlib import Path

import numpy as np
from conversion import Job, convert_all, need_folder, parser_of, run_tool
from PIL import Image, PngImagePlugin

from ovseg.apis.storage import write_files
from ovseg.datasets.benchmark_names import benchmark_classes, benchmark_things
from ovseg.datasets.labels import read_index_mask
from ovseg.errors import DatasetError

FOLDERS = {"val": "validation", "train": "training"}
NOTE = "segments"  # the PNG carries its part of the JSON file as a text of this name


# ------------------------------------------------------------ one image


def read_instances(path: Path) -> np.ndarray:
    """(H, W, 2) numbers of class and instance of each pixel.

    Raises:
        DatasetError: The file is missing, unreadable, or not in color.
    """
    try:
        with Image.open(path) as image:
            mode, numbers = image.mode, np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(
            f"Instance mask {path} cannot be read ({error}); unpack annotations_instance.tar again."
        ) from error
    if mode not in ("RGB", "RGBA"):
        raise DatasetError(
            f"{path} is an image of mode {mode}; instance masks of ADE20K are RGB: unpack "
            "annotations_instance.tar again."
        )
    return numbers[..., :2].astype(np.int64)


def merge(classes: np.ndarray, instances: np.ndarray, path: Path) -> tuple[np.ndarray, list[dict]]:
    """Segment ids and their records.

    Args:
        classes: (H, W) class + 1, 0 is void.
        instances: (H, W, 2) as of `read_instances`.
        path: How errors name the image.

    Raises:
        DatasetError: The two are of different sizes, or hold numbers that are none.
    """
    things = benchmark_things("ade20k-150")
    if classes.shape != instances.shape[:2]:
        raise DatasetError(
            f"{path} is {instances.shape[1::-1]} pixels but its semantic mask is "
            f"{classes.shape[::-1]}."
        )
    if classes.max(initial=0) > 150 or instances[..., 0].max(initial=0) > len(things):
        raise DatasetError(
            f"{path} or its semantic mask holds a class that ADE20K has not; unpack both archives "
            "again."
        )
    ids = np.zeros(classes.shape, np.int64)
    segments: list[dict] = []

    def put(region: np.ndarray, category: int) -> None:
        ids[region] = len(segments) + 1
        rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
        top, left = int(rows[0]), int(columns[0])
        segments.append(
            dict(
                id=len(segments) + 1,
                category_id=int(category),
                area=int(region.sum()),
                bbox=[left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
                iscrowd=0,
            )
        )

    for value in np.unique(classes).tolist():
        if value and value - 1 not in things:
            put(classes == value, value - 1)
    for number in np.unique(instances[..., 1]).tolist():
        if not number:
            continue
        region = instances[..., 1] == number
        kinds = np.unique(instances[..., 0][region]).tolist()
        if len(kinds) != 1 or kinds[0] == 0:
            raise DatasetError(f"Instance {number} of {path} has the classes {kinds}, not one.")
        put(region, things[kinds[0] - 1])
    return ids, segments


def convert_image(semantic: Path, instance: Path) -> list[bytes]:
    """The panoptic PNG of an image."""
    ids, segments = merge(read_index_mask(semantic), read_instances(instance), instance)
    rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
    note = PngImagePlugin.PngInfo()
    note.add_text(NOTE, json.dumps(segments))
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", pnginfo=note)
    return [buffer.getvalue()]


# ------------------------------------------------------------ all images


def jobs_of(root: Path, split: str) -> list[Job]:
    """One job for each semantic mask.

    Raises:
        DatasetError: A folder or a mask of instances is missing.
    """
    semantic = need_folder(root / "annotations" / FOLDERS[split], "--help says what belongs there.")
    instance = need_folder(
        root / "annotations_instance" / FOLDERS[split],
        "unpack annotations_instance.tar there; --help says where it comes from.",
    )
    names = sorted(path.name for path in semantic.glob("*.png"))
    missing = [name for name in names if not (instance / name).is_file()]
    if missing or not names:
        raise DatasetError(
            f"{len(missing)} masks of instances are missing in {instance}, the first is "
            f"{missing[0]}; unpack the archive again."
            if missing
            else f"There are no masks in {semantic}."
        )
    out = root / f"ade20k_panoptic_{split}"
    return [Job((out / name,), (semantic / name, instance / name)) for name in names]


def _read_note(path: Path) -> tuple[tuple[int, int], list[dict]]:
    """Width and height of a PNG of this tool, and the segments that it notes.

    Raises:
        DatasetError: It is damaged, or another tool made it.
    """
    try:
        with Image.open(path) as image:
            image.load()  # of a file that is cut short the head alone is well
            size, note = image.size, image.text.get(NOTE)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise DatasetError(
            f"{path} is damaged ({error}); delete it and run the same command again."
        ) from error
    if note is None:
        raise DatasetError(f"{path} was not made by this tool; make it again with --overwrite.")
    return size, json.loads(note)


def annotation_file(jobs: list[Job]) -> bytes:
    """The JSON file, of what the PNGs say of themselves."""
    images, annotations = [], []
    for job in jobs:
        path = job.targets[0]
        (width, height), segments = _read_note(path)
        name = path.with_suffix(".jpg").name
        images.append(dict(id=path.stem, file_name=name, width=width, height=height))
        entry = dict(image_id=path.stem, file_name=path.name, segments_info=segments)
        annotations.append(entry)
    things = set(benchmark_things("ade20k-150"))
    categories = [
        dict(id=index, name=name, isthing=int(index in things))
        for index, name in enumerate(benchmark_classes("ade20k-150"))
    ]
    content = dict(images=images, annotations=annotations, categories=categories)
    return json.dumps(content).encode()


def convert(arguments: argparse.Namespace) -> None:
    """Run the conversion that the command line asks for."""
    root, split = arguments.root, arguments.split
    jobs = jobs_of(root, split)
    out = root / f"ade20k_panoptic_{split}"
    settings = dict(converter="ade20k_panoptic", version=1)
    record = out / "conversion.json"
    done = convert_all(
        jobs, convert_image, record, settings, arguments.workers, arguments.overwrite
    )
    path = out.with_name(f"{out.name}.json")
    write_files({path: annotation_file(jobs)})
    print(f"{len(jobs)} panoptic masks in {out}, {done} of them new; their segments are in {path}.")


def main(argv: list[str] | None = None) -> int:
    """Run the tool; gives its exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--split", choices=sorted(FOLDERS), default="val", help="default: val")
    arguments = parser.parse_args(argv)
    return run_tool(lambda: convert(arguments))


if __name__ == "__main__":
    sys.exit(main())
