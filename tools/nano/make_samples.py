"""Draw the sample pictures of demo/images: procedural scenes that no training run has seen.

python tools/nano/make_samples.py demo/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from ovseg.datasets.scenes.classes import CLASSES
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS

SIZES = [(256, 384), (256, 256), (384, 256), (288, 384), (256, 320), (320, 320)]
SEEDS = [11, 10, 17, 28, 23, 20]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for number, (seed, size) in enumerate(zip(SEEDS, SIZES, strict=True), start=1):
        scene = render((SPLITS["samples"], seed), size, num_things=(2, 4))
        Image.fromarray(scene.image).save(folder / f"scene_{number}.jpg", quality=92)
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
