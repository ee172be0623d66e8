"""What the nano FC-CLIP fails at: outlining the things of scenes, or naming what it outlined.

    python tools/nano/score_fcclip.py                    # the packaged weights on check scenes

Every true thing is given the mask that covers it best. One with an IoU above 0.5 counts as
outlined; of those the share is told that is named rightly by the trained classifier alone, by the
frozen CLIP alone, and by both together, as segmentations use them.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch.nn import functional as F

import ovseg
from ovseg.datasets.scenes.classes import CLASSES
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS
from ovseg.segmentors import FCCLIP
from ovseg.segmentors.mask_preprocessor import normalized, pad_to, padded_size

#: Things that cover less of the picture are not asked about.
SMALLEST = 0.002
#: alpha and beta of the ensemble that leave one opinion.
OPINIONS = {"trained": (0.0, 0.0), "frozen": (1.0, 1.0), "both": None}


@torch.no_grad()
def judged(model: FCCLIP, image: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """All masks (Q, H, W) bool of a picture, and the best class (Q,) of each by each opinion."""
    pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    height, width = pixels.shape[-2:]
    tower, words = model.image_encoder, model.words()
    padded = padded_size(height, width, model.divisor)
    x = pad_to(normalized(pixels, tower.mean, tower.std), padded)[None]
    maps = tower.multiscale(x)
    found = model.decode(maps, words, last_only=True)[-1]
    masks = F.interpolate(found["masks"].float(), padded, mode="bilinear", align_corners=False)
    best, own = {}, (model.alpha, model.beta)
    for name, weights in OPINIONS.items():
        model.alpha, model.beta = weights or own
        chances = model.class_probabilities(found, maps["res5"], words)
        best[name] = chances[0, :, :-1].argmax(-1).numpy()
    model.alpha, model.beta = own
    return (masks[0, :, :height, :width] > 0).numpy(), best


def scores(model: FCCLIP, split: str, count: int, size: int = 256) -> dict[str, float]:
    """Percent of things outlined, their mean IoU, and percent of those named by each opinion."""
    model.set_vocabulary(list(CLASSES))
    overlaps: list[float] = []
    right: dict[str, list[bool]] = {name: [] for name in OPINIONS}
    for i in range(count):
        scene = render((SPLITS[split], i), size)
        masks, best = judged(model, scene.image)
        areas = masks.sum((1, 2))
        for thing in scene.things:
            true = scene.instances == thing.instance
            if true.mean() < SMALLEST:
                continue
            shared = masks[:, true].sum(1)
            overlap = shared / np.maximum(areas + true.sum() - shared, 1)
            query = int(overlap.argmax())
            overlaps.append(float(overlap[query]))
            if overlap[query] > 0.5:
                for name, classes in best.items():
                    right[name].append(CLASSES[classes[query]] == thing.name)
    told = {"things": len(overlaps), "outlined": 100 * np.mean(np.array(overlaps) > 0.5)}
    told["iou"] = 100 * np.mean(overlaps)
    return told | {name: 100 * np.mean(hits) for name, hits in right.items()}


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="fcclip_nano", help="a name or a config")
    parser.add_argument("--split", choices=SPLITS, default="check")
    parser.add_argument("--scenes", type=int, default=60)
    args = parser.parse_args(argv)
    found = scores(ovseg.create_model(args.model, device="cpu").model, args.split, args.scenes)
    print(" ".join(f"{name} {value:.1f}" for name, value in found.items()))
    return found


if __name__ == "__main__":
    main()
