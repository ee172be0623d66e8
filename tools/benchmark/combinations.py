"""Every attention rule with every guide and every refiner, scored on the procedural scenes.

    python tools/benchmark/combinations.py --scenes 100 --work-dir work_dirs/combinations

Makes one table of what each of the three adds to the others: ``combinations.md`` in the work dir.
A cell is written to ``cells.json`` as soon as it is known, and the same command goes on where it
was stopped.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import ovseg
from ovseg.datasets.scenes.classes import CLASSES, STUFF, VOID
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS
from ovseg.evaluation.kernels import class_areas

_BARE = dict(residual=False, mlp=False)
#: Windows enlarged: the nano DINO's patches are as large as the nano CLIP's, a real DINO's are
#: mostly smaller than CLIP's.
_DINO = dict(type="DINOGuide", encoder="dino", feature="v", scale=2)
#: Step 2, how the last block of CLIP is read; with the guide of those that cannot do without.
RULES: dict[str, dict[str, Any]] = {
    "CLIP": dict(attention=dict(type="PlainAttention")),
    "MaskCLIP": dict(attention=dict(type="MaskCLIPAttention", **_BARE)),
    "SCLIP": dict(attention=dict(type="SCLIPAttention")),
    "ClearCLIP": dict(attention=dict(type="ClearCLIPAttention")),
    "NACLIP": dict(attention=dict(type="NACLIPAttention")),
    "CLIPtrase": dict(attention=dict(type="CLIPtraseAttention", **_BARE)),
    "ProxyCLIP": dict(attention=dict(type="ProxyAttention", gamma=10.0), guide=_DINO),
    "Trident": dict(
        attention=dict(type="ProxyAttention", gamma=10.0, similarity="picture"), guide=_DINO
    ),
}
#: Step 3, whose view of what belongs together features are averaged by.
GUIDES: dict[str, dict[str, Any]] = {
    "none": {},
    "DINO": dict(aggregator=dict(type="CorrelationPooling", gamma=0.8, guide=_DINO)),
    "SAM": dict(splice=True, aggregator=dict(type="SAMCorrelation", encoder="sam", multiple=8)),
}
#: Step 5.
REFINERS: dict[str, dict[str, Any]] = {
    "none": {},
    "PAMR": dict(refiner=dict(type="PAMR")),
    "SAM prompts": dict(
        refiner=dict(type="SAMRefiner", encoder="sam", minimal_area=64, multiple=8)
    ),
}
#: The other frozen models of the embedded world.
ENCODERS = dict(
    dino=dict(type="DINO", model="nano-dino-8", pretrained="ovseg"),
    sam=dict(type="SAM", model="nano-sam-8", pretrained="ovseg", image_size=256),
)


def settings(rule: str, guide: str, refiner: str) -> dict[str, Any]:
    """What `ovseg.create_model` is asked for in one cell of the table."""
    parts = dict(RULES[rule], **GUIDES[guide], **REFINERS[refiner])
    encoders = {name: ENCODERS[name] for name in ENCODERS if name in _asked_for(parts)}
    return dict(parts, encoders=encoders)


def _asked_for(part: Any) -> set[str]:
    """Names of the encoders that parts, and parts within them, ask for."""
    if not isinstance(part, dict):
        return set()
    own = {part["encoder"]} if "encoder" in part else set()
    return own.union(*(_asked_for(inner) for inner in part.values()))


class Scenes:
    """The first scenes of the benchmark, and how well a model names their pixels."""

    def __init__(self, count: int, size: int) -> None:
        self.scenes = [render((SPLITS["val"], i), size) for i in range(count)]

    def score(self, model: ovseg.Segmenter, title: str) -> dict[str, float]:
        """MIoU in percent over all classes, stuff and things; seconds for each scene."""
        areas = np.zeros((3, len(CLASSES)), np.int64)
        began = time.perf_counter()
        for scene in tqdm(self.scenes, desc=title, leave=False, disable=None):
            mask = model.segment(scene.image).mask
            areas += class_areas(mask, scene.semantic, len(CLASSES), VOID)[0]
        seconds = (time.perf_counter() - began) / len(self.scenes)
        agreed, predicted, truth = areas
        iou = 100 * agreed / np.maximum(predicted + truth - agreed, 1)
        stuff, things = iou[: len(STUFF)], iou[len(STUFF) :]
        return dict(
            miou=float(iou.mean()),
            stuff=float(stuff.mean()),
            things=float(things.mean()),
            seconds=seconds,
        )


def table(cells: dict[str, dict[str, float]]) -> str:
    """Markdown: rules down, guides and refiners across; mIoU and, in brackets, that of things."""
    columns = list(itertools.product(GUIDES, REFINERS))
    lines = [
        "| rule | " + " | ".join(f"{guide} + {refiner}" for guide, refiner in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for rule in RULES:
        found = [cells.get(_key(rule, *column)) for column in columns]
        told = [f"{c['miou']:.1f} ({c['things']:.1f})" if c else "" for c in found]
        lines.append(f"| {rule} | " + " | ".join(told) + " |")
    return "\n".join(lines) + "\n"


def _key(*names: str) -> str:
    return " / ".join(names)


def run(work_dir: Path, base: str, count: int, size: int) -> dict[str, dict[str, float]]:
    """Score all cells that are not known yet."""
    work_dir.mkdir(parents=True, exist_ok=True)
    path = work_dir / "cells.json"
    asked = dict(base=base, scenes=count, size=size)
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else dict(asked=asked)
    if known["asked"] != asked:
        raise SystemExit(f"{path} is of a run with {known['asked']}: choose another --work-dir")
    cells = known.setdefault("cells", {})
    scenes = Scenes(count, size)
    todo = [cell for cell in itertools.product(RULES, GUIDES, REFINERS) if _key(*cell) not in cells]
    for cell in tqdm(todo, desc="cells"):
        model = ovseg.create_model(base, vocabulary="scenes", **settings(*cell))
        cells[_key(*cell)] = scenes.score(model, _key(*cell))
        part = path.with_suffix(".part")
        part.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
    return cells


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/combinations"))
    parser.add_argument("--base", default="maskclip_nano", help="model the parts are put into")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--size", type=int, default=256, help="side of the scenes in pixels")
    args = parser.parse_args(argv)
    text = table(run(args.work_dir, args.base, args.scenes, args.size))
    (args.work_dir / "combinations.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
