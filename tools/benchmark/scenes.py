"""How many scenes one core draws in a second.

python tools/benchmark/scenes.py --size 128
"""

from __future__ import annotations

import argparse
import time

import cv2

from ovseg.datasets.scenes.render import render


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, nargs="+", default=[128], help="side, or H W")
    parser.add_argument("--count", type=int, default=500)
    args = parser.parse_args()
    size = (args.size[0], args.size[-1])
    cv2.setNumThreads(1)
    for seed in range(200):  # every texture is made once
        render((5, seed), size)
    began = time.process_time()
    for seed in range(args.count):
        render((5, seed), size)
    rate = args.count / (time.process_time() - began)
    print(f"{rate:.0f} scenes of {size[0]} x {size[1]} pixels a second of processor time")


if __name__ == "__main__":
    main()
