"""How well the nano convolutional CLIP names masks and pixels of scenes it never saw.

    python tools/nano/score_convclip.py

Masks are what FC-CLIP asks of it: the true mask of each region pools the last map, the tower's
head embeds what was pooled, and the nearest of the class names is the answer.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from ovseg.datasets.scenes.classes import CLASSES, STUFF
from ovseg.datasets.scenes.render import Scene, render
from ovseg.datasets.scenes.splits import SPLITS
from ovseg.encoders.clip_conv import CLIPConv
from ovseg.encoders.clip_text import CLIPText

_Map = Callable[[torch.Tensor], torch.Tensor]

#: Regions that cover less of the picture are not asked about: a hundredth of 4 x 4 cells.
SMALLEST = 0.01


class View(NamedTuple):
    """Scenes of a zoom, drawn with ``drawn`` pixels a side and enlarged to ``read`` pixels."""

    drawn: int
    read: int
    zoom: float


#: The smallest pictures of training, twice their pixels, and twice their field of view: drawn so,
#: as the benchmark's scenes are, or enlarged from the benchmark's 128 pixels.
VIEWS = {
    "1x": View(128, 128, 2.0),
    "2x": View(256, 256, 2.0),
    "wide": View(256, 256, 1.0),
    "wide, enlarged": View(128, 256, 1.0),
}
PROMPT = "a photo of a {}."


def regions(scene: Scene) -> tuple[np.ndarray, list[int]]:
    """True masks (Q, H, W) bool of the stuff and of each thing, and their classes."""
    masks = [(scene.semantic == c, c) for c in range(len(STUFF))]
    for thing in scene.things:
        masks.append((scene.instances == thing.instance, CLASSES.index(thing.name)))
    kept = [(m, c) for m, c in masks if m.mean() >= SMALLEST]
    return np.stack([m for m, _ in kept]), [c for _, c in kept]


def pool(features: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Mean of cells, each weighted by how much of it a mask covers.

    Args:
        features: (D, h, w).
        masks: (Q, H, W) bool, none of them empty.

    Returns:
        (Q, D) float32.
    """
    weight = F.adaptive_avg_pool2d(masks.float()[None], features.shape[-2:])[0].flatten(1)
    return (weight / weight.sum(1, keepdim=True)) @ features.float().flatten(1).T


@torch.no_grad()
def scores(
    res5: _Map,
    embed: _Map,
    words: torch.Tensor,
    view: View,
    num_scenes: int,
    split: str = "check",
) -> dict[str, float]:
    """Percent of masks named rightly, percent of pixels, and mean IoU of the dense map.

    Args:
        res5: (B, 3, H, W) uint8 to the last map (B, D, h, w).
        embed: (n, D) to (n, E).
        words: (C, E) of the classes.
        view: how they are drawn and read.
        num_scenes: how many.
        split: whose scenes.

    Returns:
        ``mask_things``, ``mask_stuff``: percent of masks; ``pixels``, ``pixels_things``: percent
        of pixels whose class the enlarged logits of the map name; ``miou``, ``miou_stuff``,
        ``miou_things`` of the same.
    """
    right: dict[bool, list[bool]] = {False: [], True: []}
    confusion = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    for i in range(num_scenes):
        scene = render((SPLITS[split], i), view.drawn, zoom=view.zoom, num_things=(1, 3))
        image = scene.image
        if view.read != view.drawn:
            image = cv2.resize(image, (view.read, view.read), interpolation=cv2.INTER_LINEAR)
        image = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
        features = res5(image)[0].float().cpu()
        masks, classes = regions(scene)
        named = F.normalize(embed(pool(features, torch.from_numpy(masks))).float(), dim=-1)
        for guess, true in zip((named @ words.T).argmax(1).tolist(), classes, strict=True):
            right[true >= len(STUFF)].append(guess == true)
        cells = F.normalize(embed(features.flatten(1).T).float(), dim=-1)
        logits = (cells @ words.T).T.unflatten(1, features.shape[-2:])[None]
        logits = F.interpolate(logits, scene.semantic.shape, mode="bilinear")
        known = scene.semantic < len(CLASSES)
        pairs = scene.semantic[known].astype(np.int64) * len(CLASSES)
        pairs += logits[0].argmax(0).numpy()[known]
        confusion += np.bincount(pairs, minlength=confusion.size).reshape(confusion.shape)
    hits, truth = np.diag(confusion), confusion.sum(1)
    iou = 100 * hits / np.maximum(truth + confusion.sum(0) - hits, 1)
    things = slice(len(STUFF), None)
    found = {
        "mask_things": 100 * np.mean(right[True]),
        "mask_stuff": 100 * np.mean(right[False]),
        "pixels": 100 * hits.sum() / truth.sum(),
        "pixels_things": 100 * hits[things].sum() / max(truth[things].sum(), 1),
        "miou": iou.mean(),
        "miou_stuff": iou[: len(STUFF)].mean(),
        "miou_things": iou[things].mean(),
    }
    return {name: round(float(value), 1) for name, value in found.items()}


def load(model: str, weights: Path | None = None) -> tuple[_Map, _Map, torch.Tensor]:
    """What `scores` needs, from the packaged weights or a file, through the public encoders."""
    image_tower = CLIPConv(model, "ovseg", weights)
    text_tower = CLIPText(model, "ovseg", weights)
    words = F.normalize(text_tower.encode([PROMPT.format(name) for name in CLASSES]), dim=-1)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (image_tower.mean, image_tower.std))

    def res5(images: torch.Tensor) -> torch.Tensor:
        return image_tower.multiscale((images / 255 - mean) / std)["res5"]

    def embed(vectors: torch.Tensor) -> torch.Tensor:
        return image_tower.embed_pooled(vectors[None])[0]

    return res5, embed, words


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nano-convnext")
    parser.add_argument("--weights", type=Path, help="instead of the packaged ones")
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--split", default="check", choices=("check", "val"))
    args = parser.parse_args(argv)
    tower = load(args.model, args.weights)
    for name, view in VIEWS.items():
        found = scores(*tower, view, args.scenes, args.split)
        print(f"{name}: {json.dumps(found)}", flush=True)


if __name__ == "__main__":
    main()
