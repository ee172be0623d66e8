"""How well the nano CLIP names pixels of pictures it never saw: the only look at a mask."""

from __future__ import annotations

import numpy as np
import torch
from clip_model import NanoCLIP
from torch.nn import functional as F

from ovseg.datasets.scenes.classes import CLASSES, STUFF, VOID
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS

READINGS = ("plain", "value", "q", "k")


@torch.no_grad()
def close_up_scores(model: NanoCLIP, size: int, num_scenes: int) -> dict[str, float]:
    """Mean IoU in percent on held-out close-ups, over all classes, stuff, and things.

    Patch logits are enlarged to pixels: a rough and quick measure to watch a run by, with other
    scenes and without the windows, templates and sizes of the benchmark.

    Args:
        model: towers; left in training mode.
        size: side of the scenes in pixels.
        num_scenes: how many.

    Returns:
        For each of `READINGS` (see `NanoCLIP.encode_image`), each also with ``_stuff`` and
        ``_things``.
    """
    model.clip.eval()
    words = model.encode_text([f"a photo of a {name}." for name in CLASSES])
    scenes = [
        render((SPLITS["check"], i), size, zoom=2.0, num_things=(1, 3)) for i in range(num_scenes)
    ]
    images = torch.stack([torch.from_numpy(s.image.transpose(2, 0, 1).copy()) for s in scenes])
    with model.autocast():
        _, readings = model.encode_image(images, READINGS)
    model.clip.train()
    truth = np.stack([s.semantic for s in scenes])
    scores = {}
    for name, patches in readings.items():
        side = int(patches.shape[1] ** 0.5)
        logits = (patches @ words.T).transpose(1, 2).reshape(num_scenes, -1, side, side)
        logits = F.interpolate(logits, truth.shape[1:], mode="bilinear")
        iou = _iou(logits.argmax(1).cpu().numpy(), truth)
        stuff, things = iou[: len(STUFF)].mean(), iou[len(STUFF) :].mean()
        for part, number in (("", iou.mean()), ("_stuff", stuff), ("_things", things)):
            scores[name + part] = round(float(number), 1)
    return scores


def _iou(guess: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Percent for each class, void pixels apart; 0 for a class that is nowhere."""
    guess, truth = guess[truth != VOID], truth[truth != VOID]
    both = [np.sum((guess == c) & (truth == c)) for c in range(len(CLASSES))]
    either = [np.sum((guess == c) | (truth == c)) for c in range(len(CLASSES))]
    return 100 * np.array(both) / np.maximum(either, 1)
