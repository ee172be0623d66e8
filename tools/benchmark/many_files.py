"""What memory a folder of very many files takes, and what the folder itself costs in time.

    python tools/benchmark/many_files.py --images 100000

Small pictures are drawn, and segmented by their strongest color in place of a model, so that what
is measured is all around it: finding files, reading, writing, and what is kept of each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from folder import memory_mib
from PIL import Image

from ovseg.apis.folder import segment_folder
from ovseg.apis.result import SegmentationResult

CLASSES = ("red", "green", "blue")


class StrongestColor:
    """In place of a model; notes the memory of the process at some of the pictures."""

    def __init__(self, at: set[int]) -> None:
        self.at, self.seen, self.memory = at, 0, {}

    def segment(self, images, classes=None, *, batch_size=1):
        """Each pixel's strongest channel."""
        self.seen += len(images)
        if self.seen in self.at:
            self.memory[self.seen] = memory_mib()
        return [SegmentationResult(image.argmax(-1), CLASSES) for image in images]


def draw(folder: Path, count: int, side: int) -> None:
    """Write so many pictures; a hundred are different."""
    rng = np.random.default_rng(0)
    files = []
    for i in range(min(count, 100)):
        path = folder / f"{i:06}.png"
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
        files.append(path.read_bytes())
    for i in range(len(files), count):
        (folder / f"{i:06}.png").write_bytes(files[i % len(files)])


def run(count: int, side: int) -> dict[str, float | dict[int, float]]:
    """Segment so many pictures; memory in MiB before, and after a hundredth, a tenth, ... of them.

    Returns:
        ``images``, ``seconds``, ``before`` and ``memory`` by number of pictures.
    """
    at = {max(1, count // part) for part in (100, 10, 2, 1)}
    model = StrongestColor(at)
    with tempfile.TemporaryDirectory() as inputs, tempfile.TemporaryDirectory() as out:
        draw(Path(inputs), count, side)
        before, began = memory_mib(), time.perf_counter()
        report = segment_folder(model, inputs, out, save=("mask",))
        seconds = time.perf_counter() - began
    return {
        "images": len(report.done),
        "seconds": seconds,
        "before": before,
        "memory": model.memory,
    }


def main(argv: list[str] | None = None) -> dict[str, float | dict[int, float]]:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=32, help="of a picture, in pixels")
    args = parser.parse_args(argv)
    found = run(args.images, args.side)
    print(
        f"{found['images']} pictures in {found['seconds']:.0f} s; "
        f"{found['before']:.0f} MiB held before"
    )
    for number, memory in sorted(found["memory"].items()):
        print(f"{number:8} pictures: {memory:.0f} MiB")
    return found


if __name__ == "__main__":
    main()
