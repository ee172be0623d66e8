"""Draw procedural scenes as a folder of images and masks, laid out as one's own pictures would be.

python tools/nano/make_folder.py data/my_dataset --images 200
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ovseg.datasets.scenes.classes import CLASSES
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument("--first", type=int, default=1000, help="number of the first scene")
    parser.add_argument("--size", type=int, default=256, help="side in pixels")
    args = parser.parse_args(argv)
    for name in ("images", "masks"):
        (args.folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(args.first, args.first + args.images):
        scene = render((SPLITS["samples"], number), args.size)
        Image.fromarray(scene.image).save(args.folder / "images" / f"{number:06}.jpg", quality=95)
        Image.fromarray(scene.semantic).save(args.folder / "masks" / f"{number:06}.png")
    (args.folder / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
