"""Peak memory above the weights of segmenting one large photograph with a large vocabulary.

    python tools/benchmark/memory.py maskclip_vit-b16 --size 3000 4000 --classes 847

Runs on random weights and random pixels; neither changes what memory is needed. Linux only.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import torch

import ovseg


def memory_kib(field: str) -> int:
    """A line of Linux's account of this process: VmRSS is held now, VmHWM the most held so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def forget_peak() -> None:
    """Start the high-water mark anew; building the model has raised it above what follows."""
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--size", type=int, nargs=2, default=(3000, 4000), metavar=("H", "W"))
    parser.add_argument("--classes", type=int, default=847)
    parser.add_argument("--templates", default="none", help="text work is not what is measured")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    model = ovseg.create_model(args.model, pretrained=None, device="cpu", templates=args.templates)
    names = [f"class {i}" for i in range(args.classes)]
    image = np.random.default_rng(0).integers(0, 256, (*args.size, 3), dtype=np.uint8)
    model.segment(image[:64, :64], names)  # everything is loaded now, and used once
    forget_peak()
    before = memory_kib("VmRSS")
    started = time.perf_counter()
    model.segment(image)
    seconds = time.perf_counter() - started
    above = (memory_kib("VmHWM") - before) / 2**10
    print(
        f"{args.model}, {args.classes} classes, {args.size[0]} x {args.size[1]} pixels: "
        f"{above:.0f} MiB above the loaded model at the peak, {seconds:.1f} s "
        f"on {torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()
