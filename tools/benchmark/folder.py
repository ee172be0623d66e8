"""How much of the time of a folder of photographs is spent in the model.

    python tools/benchmark/folder.py maskclip_vit-b16 PHOTOS --random --limit 200

Photographs are decoded and results are written by threads while the model works on others. What is
left of the time is told, with the memory of the process after the first photographs and at the end.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
import warnings
from pathlib import Path

import torch

import ovseg
from ovseg.apis.folder import segment_folder
from ovseg.apis.inputs import list_images


class Timed:
    """A model that notes when it works."""

    def __init__(self, model: ovseg.Segmenter) -> None:
        self.model, self.inside, self.memory = model, [], []

    def segment(self, images, classes=None, **options):
        """As `Segmenter.segment`."""
        began = time.perf_counter()
        results = self.model.segment(images, classes, **options)
        if self.model.device.type == "cuda":
            torch.cuda.synchronize(self.model.device)
        self.inside.append(time.perf_counter() - began)
        self.memory.append(memory_mib())
        return results


def memory_mib() -> float:
    """What the process holds; not a number where nothing tells."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 2**10


def run(args: argparse.Namespace) -> dict[str, float]:
    """Segment the photographs once."""
    settings = {"templates": "none", "text_cache": False} if args.random else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ovseg.create_model(
            args.model, pretrained=None if args.random else True, device=args.device, **settings
        )
    inputs = list(itertools.islice(list_images(args.inputs), args.limit))
    classes = [f"class {i}" for i in range(args.classes)]
    model.model.set_vocabulary(classes)
    timed = Timed(model)
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        report = segment_folder(
            timed, inputs, out, batch_size=args.batch_size, threads=args.threads, progress=False
        )
        seconds = time.perf_counter() - began
    return {
        "images": len(report.done),
        "seconds": seconds,
        "share": sum(timed.inside) / seconds,
        "memory_early": timed.memory[min(len(timed.memory) - 1, 4)],
        "memory_end": timed.memory[-1],
    }


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("inputs", help="a folder of photographs")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--classes", type=int, default=150)
    parser.add_argument("--random", action="store_true", help="random weights")
    parser.add_argument("--device")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    found = run(parser.parse_args(argv))
    print(
        f"{found['images']} photographs in {found['seconds']:.1f} s, "
        f"{100 * found['share']:.1f} % of it in the model; {found['memory_early']:.0f} MiB held "
        f"after the first, {found['memory_end']:.0f} MiB at the end"
    )
    return found


if __name__ == "__main__":
    main()
