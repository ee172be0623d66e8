#!/usr/bin/env python
"""Label files of PASCAL Context with 459 classes, from its .mat files.

    python tools/dataset_converters/pascal_context_459.py data/VOCdevkit/VOC2010

ROOT is VOCdevkit/VOC2010 of VOCtrainval_03-May-2010.tar
(http://host.robots.ox.ac.uk/pascal/VOC/voc2010/), with the folder trainval of trainval.tar.gz
(https://www.cs.stanford.edu/~roozbeh/pascal-context/) in it: one .mat for each image.

Writes annotations_detectron2/pc459_<split>/*.tif of 16 bits, as CAT-Seg's preparation does: label
k of the .mat file becomes class k - 1, unlabelled pixels (0) become 65535, which is void. Images
are those of ImageSets/SegmentationContext/<split>.txt, pascalcontext_<split>.txt or
ImageSets/Main/<split>.txt, whichever is found first. The first is written where it is missing, and
what this tool wrote is written anew from the others by each run.

The same command goes on where an earlier one was interrupted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from conversion import (
    Job,
    convert_all,
    image_bytes,
    need_folder,
    parser_of,
    run_tool,
)
from pascal_context import MAT_SOURCE, image_list, image_names, read_label_map

VOID = 65535


def make(path: Path) -> list[bytes]:
    """Classes of a ``.mat`` file as TIFF."""
    labels = read_label_map(path)
    return [image_bytes(np.where(labels == 0, VOID, labels - 1).astype(np.uint16), "TIFF")]


def convert(arguments: argparse.Namespace) -> None:
    """Run the conversion that the command line asks for."""
    root, split = arguments.root, arguments.split
    source = need_folder(root / "trainval", MAT_SOURCE)
    out = root / "annotations_detectron2" / f"pc459_{split}"
    record = out / "conversion.json"
    names = image_names(root, split, record)
    jobs = [Job((out / f"{name}.tif",), (source / f"{name}.mat",)) for name in names]
    settings = dict(converter="pascal_context_459")
    listed = (image_list(root, split), names)
    done = convert_all(jobs, make, record, settings, arguments.workers, arguments.overwrite, listed)
    print(f"{len(jobs)} label files in {out}, {done} of them new.")


def main(argv: list[str] | None = None) -> int:
    """Run the tool; gives its exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--split", choices=("val", "train"), default="val")
    arguments = parser.parse_args(argv)
    return run_tool(lambda: convert(arguments))


if __name__ == "__main__":
    sys.exit(main())
