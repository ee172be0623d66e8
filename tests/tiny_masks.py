"""The smallest model that is trained as mask transformers are, and a run of it on the scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import nn

from ovseg.datasets.scenes.classes import CLASSES
from ovseg.registry import MODELS, TRANSFORMS
from tests.tiny_runs import scene_training


@TRANSFORMS.register_module(force=True)
class Whiten(BaseTransform):
    """Makes one picture white, which `TinyMasks` takes for poison."""

    def __init__(self, name: str) -> None:
        self.name = name

    def transform(self, results: dict) -> dict:
        if results["img_path"] == self.name:
            results["img"] = np.full_like(results["img"], 255)
        return results


class Stack(BaseDataPreprocessor):
    """Pictures of one size as a float tensor."""

    def forward(self, data: dict, training: bool = False) -> dict:
        data = self.cast_data(data)
        return dict(data, inputs=torch.stack(list(data["inputs"])).float() / 128 - 1)


class Tower(nn.Module):
    """A frozen encoder with weights drawn from a seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.fingerprint = f"tower/sha256:{seed:04}"
        self.conv = nn.Conv2d(3, 8, 4, 4)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.conv.weight.copy_(torch.randn(8, 3, 4, 4, generator=generator) / 7)
        self.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images)


@MODELS.register_module(force=True)
class TinyMasks(BaseModel):
    """Queries, a projection and a classifier on a frozen tower; two layers of predictions."""

    def __init__(self, criterion: dict, tower: int = 1, queries: int = 5, dropout: float = 0.0):
        super().__init__(data_preprocessor=Stack())
        self.image_encoder = Tower(tower)
        self.project = nn.Sequential(nn.Conv2d(8, 8, 1), nn.GroupNorm(2, 8), nn.Dropout(dropout))
        self.queries = nn.Embedding(queries, 8)
        self.classify = nn.Linear(8, len(CLASSES) + 1)
        self.criterion = MODELS.build(criterion)

    def forward_heads(self, images: torch.Tensor) -> list[dict]:
        features = self.project(self.image_encoder(images))
        features = features + torch.where(images.amin((1, 2, 3)) > 0.99, torch.nan, 0.0).view(
            -1, 1, 1, 1
        )
        predictions = []
        asked = self.queries.weight.expand(len(images), -1, -1)
        for _ in range(2):
            asked = asked + features.mean((2, 3))[:, None]
            masks = torch.einsum("bqd,bdhw->bqhw", asked, features)
            predictions.append(dict(masks=masks, logits=self.classify(asked)))
        return predictions

    def forward(self, inputs: torch.Tensor, data_samples: list | None = None, mode: str = "loss"):
        if mode != "loss":
            return data_samples
        targets = [(s.gt_segments.labels, s.gt_segments.masks) for s in data_samples]
        return self.criterion(self.forward_heads(inputs), targets)


def masks_config(work_dir: Path | str, poison: str | None = None, **changes: Any) -> Config:
    """Six iterations on eight scenes, four at a time."""
    loaded = scene_training(
        work_dir,
        model=dict(type="TinyMasks", criterion=dict(type="MaskCriterion", num_points=40)),
        pipeline=[
            dict(type="RenderScene", panoptic=True),
            dict(type="RandomMirror"),
            dict(type="LargeScaleJitter", size=32, scale=(0.5, 2.0)),
            dict(type="Whiten", name=f"scenes-train/{poison}"),
            dict(type="PackSegments"),
        ],
        iterations=6,
        interval=3,
        keep=1,
        optim_wrapper=dict(
            type="GuardedOptimWrapper",
            constructor="DecayByKind",
            optimizer=dict(type="AdamW", lr=0.01, weight_decay=0.05),
            clip_grad=dict(max_norm=1.0),
        ),
        param_scheduler=[dict(type="MultiStepLR", milestones=[4], gamma=0.1, by_epoch=False)],
    )
    loaded.merge_from_dict(changes)
    return loaded
