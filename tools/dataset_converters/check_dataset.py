#!/usr/bin/env python
"""Check a dataset before anything is scored on it: every image, every mask, and what they hold.

    python tools/dataset_converters/check_dataset.py ade20k-150 data/ADEChallengeData2016
    python tools/dataset_converters/check_dataset.py coco-panoptic data/coco --images 200

NAME is a config of configs/_base_/datasets; ROOT is the folder that its data_root names. Every
image is decoded, every mask read and compared in size. Told are the counts, in how many images and
pixels each class occurs, what is missing or wrong (with the file and what to do), and which
converter made the label files, if one did. A contact sheet shows some images under their labels.

Exit code 0: all is well; 1: something is missing or wrong; 2: the call was wrong.
"""

from __future__ import annotations

import argparse
import errno
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from conversion import parser_of, positive, run_tool
from conversion_record import Record
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tqdm import tqdm
from workers import runner

import ovseg.registry  # noqa: F401 (registers the datasets)
from ovseg.apis.reproduction import known_benchmarks
from ovseg.apis.zoo import config_root
from ovseg.errors import ConfigError, DatasetError, OvsegError, SaveError
from ovseg.evaluation.png import write_png
from ovseg.registry import DATASETS
from ovseg.utils.images import decode_image
from ovseg.visualization import comparison_sheet, draw_overlay

NAMES = [n for n in known_benchmarks() if not n.startswith("scenes")] + ["folder-panoptic"]
TOLD = 20  # mistakes that are printed; the others are counted


@dataclass
class Found:
    """What one image and its masks hold.

    Attributes:
        pixels: Pixels of each class that occurs.
        void: Pixels of no class.
        segments: Number of segments of each class, where there are segments.
        mistake: What is wrong, or None.
    """

    pixels: dict[int, int] = field(default_factory=dict)
    void: int = 0
    segments: dict[int, int] = field(default_factory=dict)
    mistake: str | None = None


def inspect(num_classes: int, info: dict) -> Found:
    """Read an image and its masks.

    Args:
        num_classes: Classes C of the dataset; other labels are void.
        info: Sample of a dataset of this package.
    """
    found = Found()
    try:
        shape = decode_image(info["img_path"], exif=False).shape[:2]
        path = info["seg_map_path"]
        labels = info["label_reader"].read(path, info.get("segments"), info.get("label_lookup"))
        _same_size(path, labels.shape, info["img_path"], shape)
        count = np.bincount(labels[(labels >= 0) & (labels < num_classes)].ravel())
        found.pixels = {k: int(n) for k, n in enumerate(count) if n}
        found.void = int(labels.size - count.sum())
        reader = info.get("panoptic_reader")
        if reader is not None:
            path = info.get("panoptic_path") or path
            ids, segments = reader.read(path, info.get("segments"))
            _same_size(path, ids.shape, info["img_path"], shape)
            for segment in segments:
                label = segment["category_id"]
                found.segments[label] = found.segments.get(label, 0) + 1
    except OvsegError as error:
        found.mistake = str(error)
    return found


def _same_size(mask: str, of_mask: Sequence[int], image: str, of_image: Sequence[int]) -> None:
    if tuple(of_mask) != tuple(of_image):
        raise DatasetError(
            f"Mask {mask} is {of_mask[1]} x {of_mask[0]} pixels but its image {image} is "
            f"{of_image[1]} x {of_image[0]}; they do not belong together: unpack or convert again."
        )


def open_dataset(name: str, root: Path):
    """The dataset of a config, below another root.

    Raises:
        ConfigError: There is no such config.
        DatasetError: The dataset is not there, or not whole.
    """
    if name not in NAMES:
        raise ConfigError(f"There is no dataset {name!r}; those known are {', '.join(NAMES)}.")
    config = Config.fromfile(config_root() / "_base_" / "datasets" / f"{name}.py")
    init_default_scope("ovseg")
    settings = {**config.test_dataloader["dataset"], "data_root": str(root), "pipeline": []}
    return DATASETS.build(settings)


def origin(folder: Path) -> str | None:
    """What the converter that made a folder of label files said of itself."""
    for path in sorted(folder.glob("conversion*.json")):
        record = Record(path)
        if record.mistake is not None:
            return f"a converter whose record {path} cannot be read"
        settings = dict(record.settings)
        if "converter" in settings:
            name = settings.pop("converter")
            return f"{name}.py{f' ({settings})' if settings else ''}"
    return None


def half_replaced(folder: Path) -> bool:
    """Whether a converter was interrupted while it replaced the label files of a folder."""
    return any(Record(path).notes.get("replacing") for path in folder.glob("conversion*.json"))


def histogram(classes: Sequence[str], found: Sequence[Found]) -> list[str]:
    """A line for each class: images, share of the pixels, segments."""
    width = min(32, max(map(len, classes)))
    everything = sum(sum(f.pixels.values()) for f in found) or 1
    with_segments = any(f.segments for f in found)
    lines = [f"{'':>4} {'class':{width}} {'images':>7} {'% of pixels':>12}"]
    lines[0] += f" {'segments':>9}" if with_segments else ""
    for label, name in enumerate(classes):
        images = sum(label in f.pixels for f in found)
        share = 100 * sum(f.pixels.get(label, 0) for f in found) / everything
        line = f"{label:4} {name[:width]:{width}} {images:7} {share:12.4f}"
        if with_segments:
            line += f" {sum(f.segments.get(label, 0) for f in found):9}"
        lines.append(line)
    return lines


def contact_sheet(dataset, indices: Sequence[int]) -> np.ndarray:
    """Images under their labels, side by side: (H, W, 3) uint8."""
    pictures, titles = [], []
    classes = dataset.metainfo["classes"]
    for index in indices:
        info = dataset.get_data_info(int(index))
        image = decode_image(info["img_path"], exif=False)
        labels = info["label_reader"].read(
            info["seg_map_path"], info.get("segments"), info.get("label_lookup")
        )
        step = max(1, max(labels.shape) // 1024)  # of Cityscapes and larger: enough to see
        pictures.append(draw_overlay(image[::step, ::step], labels[::step, ::step], classes))
        titles.append(Path(info["img_path"]).name)
    return comparison_sheet(pictures, titles, columns=3, cell_height=300)


def need_place(path: Path) -> None:
    """Make sure that a PNG can be written, before the work that it is to show.

    Raises:
        ConfigError: The name is not that of a PNG.
        SaveError: The place cannot be written to.
    """
    if path.suffix.lower() != ".png":
        raise ConfigError(
            f"The contact sheet is a PNG, not {path.name!r}; let its name end in .png."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise SaveError(
            f"Cannot write the contact sheet {path} ({error.strerror or error}); name another file "
            "in --sheet, or leave it out by --no-sheet."
        ) from error


def check(arguments: argparse.Namespace) -> int:
    """Check a dataset and tell of it; 1 if something is missing or wrong."""
    sheet = arguments.sheet or Path("work_dirs") / "check_dataset" / f"{arguments.name}.png"
    if not arguments.no_sheet:
        need_place(sheet)
    try:
        dataset = open_dataset(arguments.name, arguments.root)
    except DatasetError as error:
        print(f"missing: {error}")
        return 1
    count, wrong = len(dataset), []
    meta = dataset.metainfo
    print(f"{arguments.name}: {count} images with masks, {len(meta['classes'])} classes")
    expected = type(dataset).IMAGES
    if expected is not None and count != expected:
        wrong.append(
            f"{count} images, but the benchmark has {expected}: published scores count all."
        )
    first = dataset.get_data_info(0)
    for path in dict.fromkeys(first.get(key) for key in ("seg_map_path", "panoptic_path")):
        made = path and origin(Path(path).parent)
        if made:
            print(f"done: {Path(path).parent} was made by {made}")
        if path and half_replaced(Path(path).parent):
            wrong.append(
                f"{Path(path).parent} holds old and new label files: replacing them was "
                "interrupted; run the converter again."
            )
    chosen = range(count)
    if arguments.images is not None and arguments.images < count:
        chosen = np.unique(np.linspace(0, count - 1, arguments.images).astype(int)).tolist()
    infos = (dataset.get_data_info(int(i)) for i in chosen)
    work = partial(inspect, len(meta["classes"]))
    with runner(arguments.workers if len(chosen) > 1 else 0) as run:
        found = list(tqdm(run(work, infos), total=len(chosen), disable=len(chosen) < 50))
    mistakes = [f.mistake for f in found if f.mistake]
    wrong += mistakes[:TOLD]
    if len(mistakes) > TOLD:
        wrong.append(f"{len(mistakes) - TOLD} more like these.")

    print("\n".join(histogram(meta["classes"], found)))
    pixels = sum(sum(f.pixels.values()) for f in found)
    void = sum(f.void for f in found)
    print(
        f"checked: {len(found)} of {count} images, {100 * void / ((pixels + void) or 1):.2f} % void"
    )
    absent = [
        name
        for label, name in enumerate(meta["classes"])
        if not any(label in f.pixels for f in found)
    ]
    if absent:
        shown = ", ".join(absent[:10]) + (", ..." if len(absent) > 10 else "")
        print(f"absent: {len(absent)} classes occur in no checked image: {shown}")
    for mistake in wrong:  # before the sheet, which may fail
        print(f"wrong: {mistake}")
    good = [i for i, f in zip(chosen, found, strict=True) if not f.mistake]
    if good and not arguments.no_sheet:
        shown = np.unique(np.linspace(0, len(good) - 1, min(9, len(good))).astype(int))
        write_png(sheet, contact_sheet(dataset, [good[i] for i in shown]))
        print(f"sheet: {sheet}")
    print("Something is wrong, see above." if wrong else "All is well.")
    return int(bool(wrong))


def main(argv: list[str] | None = None) -> int:
    """Run the tool; gives its exit code."""
    parser = parser_of(__doc__, overwrite=False, name=True)
    parser.add_argument(
        "--images", type=positive, metavar="N", help="check N, spread over the dataset"
    )
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="PNG of the contact sheet")
    parser.add_argument("--no-sheet", action="store_true", help="make none")
    return run_tool(partial(check, parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
