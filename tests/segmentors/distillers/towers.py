"""Our models of what was recorded."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmseg.structures import SegDataSample

from ovseg.datasets.regions import PackRegions
from ovseg.encoders.base import RandomWeightsWarning
from ovseg.registry import MODELS
from tests.segmentors.distillers import clipself_case as case
from tests.timm_clips import TEXT, timm_clip

DATA = Path(__file__).parent / "data"


@lru_cache
def recorded(name: str) -> dict[str, np.ndarray]:
    """Arrays of a file."""
    with np.load(DATA / f"clipself-{name}.npz") as file:
        return dict(file)


def tower_config(kind: str, **options) -> dict:
    """Config of a student."""
    if kind == "eva02":
        model = {**timm_clip("eva02"), "name": "drawn-eva02"}
    else:
        sizes = case.SIZES
        vision = {k: sizes[k] for k in ("image_size", "patch_size", "width", "layers")}
        vision["head_width"] = sizes["width"] // sizes["heads"]
        model = {"name": "drawn-vit", "vision_cfg": vision, "text_cfg": TEXT}
    model["embed_dim"] = case.SIZES["embed_dim"]
    return {
        "type": "CLIPViT",
        "model": model,
        "pretrained": None,
        "position": "bicubic",
        **options,
    }


def drawn(kind: str, method: str = "CLIPSelf", **settings):
    """A distiller with the recorded student and teacher."""
    student = tower_config(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        model = MODELS.build({"type": method, "student": student, **settings})
    case.fill(model.student.visual.named_parameters(), f"{kind}.student")
    if model.teacher is not None:
        case.fill(model.teacher.visual.named_parameters(), f"{kind}.teacher")
    return model.train()


def samples(mode: str, crop_size: int | None = case.CROP) -> list[dict]:
    """What our pipeline packs of the pictures and the recorded boxes."""
    pack = PackRegions(case.SIDE, crop_size, context=1.5 if mode == "given" else 1.0)
    found = []
    for i, size in enumerate(case.PICTURES):
        boxes = recorded("samples")[f"boxes_{mode}_{i}"] * max(size)
        found.append(pack.transform({"img": np.asarray(case.draw_picture(i)), "boxes": boxes}))
    return found


def batch(model, packed: list[dict]) -> dict:
    """Samples as the preprocessor gives them."""
    data = {key: [one[key] for one in packed] for key in ("inputs", "data_samples")}
    return model.data_preprocessor(data, training=True)


def pairs_sample(boxes: np.ndarray, labels: tuple[int, ...]) -> SegDataSample:
    """Boxes with words."""
    sample = SegDataSample()
    sample.gt_regions = InstanceData(
        boxes=torch.from_numpy(boxes), labels=torch.tensor(labels, dtype=torch.long)
    )
    return sample
