"""Every attention rule with every guide and every refiner, scored on the procedural scenes.

    python tools/benchmark/combinations.py --scenes 100 --out work_dirs/combinations

One table: what each of the three adds to the others. Every cell is written to ``cells.json`` as
soon as it is known, and the same command goes on where it was stopped. Encoders are built once and
shared by all cells.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from tqdm import tqdm

import ovseg
from ovseg.datasets.scenes.classes import CLASSES, STUFF, VOID
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS
from ovseg.evaluation.kernels import class_areas

#: Step 2: how the last block of CLIP is read.
RULES: dict[str, dict[str, Any]] = {
    "CLIP": dict(type="PlainAttention"),
    "MaskCLIP": dict(type="MaskCLIPAttention", residual=False, mlp=False),
    "SCLIP": dict(type="SCLIPAttention"),
    "ClearCLIP": dict(type="ClearCLIPAttention"),
    "NACLIP": dict(type="NACLIPAttention"),
    "CLIPtrase": dict(type="CLIPtraseAttention"),
    "ProxyCLIP (DINO)": dict(type="ProxyAttention"),
    "ProxyCLIP (SAM)": dict(type="ProxyAttention"),
}
#: What a rule that cannot do without one is guided by.
RULE_GUIDES = {
    "ProxyCLIP (DINO)": dict(type="DINOGuide", encoder="dino"),
    "ProxyCLIP (SAM)": dict(type="SAMGuide", encoder="sam"),
}
#: Step 3: whose view of what belongs together features are averaged by.
GUIDES: dict[str, dict[str, Any]] = {
    "none": {},
    "DINO": dict(aggregator=dict(type="DINOPooling", encoder="dino")),
    "SAM": dict(splice=True, aggregator=dict(type="SAMCorrelation", encoder="sam")),
}
#: Step 5.
REFINERS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "PAMR": dict(type="PAMR"),
    "SAM": dict(type="SAMRefiner", encoder="sam"),
}


def build(rule: str, guide: str, refiner: str, encoders: dict[str, dict]) -> dict[str, Any]:
    """The overrides of `ovseg.create_model` for one cell."""
    chosen = dict(attention=RULES[rule], encoders=encoders, **GUIDES[guide])
    if rule in RULE_GUIDES:
        chosen["guide"] = RULE_GUIDES[rule]
    if REFINERS[refiner] is not None:
        chosen["refiner"] = REFINERS[refiner]
    return chosen


class Scenes:
    """The first scenes of the benchmark, and how well a model names their pixels."""

    def __init__(self, count: int, size: int) -> None:
        self.scenes = [render((SPLITS["val"], i), size) for i in range(count)]

    def score(self, model: ovseg.Segmenter, title: str) -> dict[str, float]:
        """MIoU in percent over all classes, stuff and things; seconds for each scene."""
        areas = np.zeros((3, len(CLASSES)), np.int64)
        began = time.perf_counter()
        for scene in tqdm(self.scenes, desc=title, leave=False):
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
