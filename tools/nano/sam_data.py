"""Scenes with masks to find and the prompts that ask for them, endless and the same for every run.

Masks carry no class: a thing is one target, a stuff region another. Unnamed clutter (void) is
never a target.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from ovseg.datasets.scenes.classes import STUFF
from ovseg.datasets.scenes.render import Scene, render
from ovseg.datasets.scenes.splits import SPLITS

#: Most points of one prompt; a prompt with fewer is filled up with the label -1.
MAX_POINTS = 3
#: Targets that cover less of the picture than this are not asked for.
SMALLEST = 0.003


@dataclass(frozen=True)
class Counts:
    """Prompts of a picture by what they show first: a point, a box, or a coarse mask."""

    point: int = 2
    box: int = 2
    mask: int = 1

    @property
    def total(self) -> int:
        """Prompts of a picture."""
        return self.point + self.box + self.mask


def targets(scene: Scene) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The masks of a scene's things and of its stuff regions: two lists of (H, W) bool."""
    least = SMALLEST * scene.semantic.size
    things = [scene.instances == t.instance for t in scene.things if t.area >= least]
    stuff = [scene.semantic == c for c in np.unique(scene.semantic) if c < len(STUFF)]
    return things, [mask for mask in stuff if mask.sum() >= least]


def inner_point(mask: np.ndarray, depth: float, rng: np.random.Generator) -> np.ndarray:
    """A random pixel x, y of a mask, at least ``depth`` (0 to 1) of its greatest way inside."""
    # A border of background, so that pixels at the edge of the picture do not count as deep.
    far = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    rows, columns = np.nonzero(far >= max(depth * far.max(), 1e-3))
    i = rng.integers(len(rows))
    return np.array([columns[i], rows[i]], np.float32)


def box_of(mask: np.ndarray) -> np.ndarray:
    """The box x1, y1, x2, y2 of the first and last pixels of a mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1], rows[-1]], np.float32)


def coarse_logits(
    mask: np.ndarray, side: int, valid: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """A mask as a coarse classifier of patches might give it: blurred, shifted, wrong in places.

    Args:
        mask: (S, S) bool.
        side: of the result.
        valid: (h, w) pixels of the mask that are picture; the rest is padding.
        rng: consumed.

    Returns:
        (side, side) float32 logits of any scale, 0 on padding. In half of them all that is not
        the object is 0 as well, as where maps are cut off at a threshold.
    """
    cells = int(rng.integers(6, 20))
    soft = cv2.resize(mask.astype(np.float32), (cells, cells), interpolation=cv2.INTER_AREA)
    soft += rng.normal(0, rng.uniform(0, 0.25), soft.shape).astype(np.float32)
    step = side / cells
    shift = rng.uniform(-0.5, 0.5, 2) * step + (step - 1) / 2
    place = np.array([[step, 0, shift[0]], [0, step, shift[1]]])
    soft = cv2.warpAffine(
        soft, place, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    logits = (soft - rng.uniform(0.3, 0.6)) * 10 ** rng.uniform(-1.5, 1.3)
    if rng.random() < 0.5:
        logits = np.maximum(logits, 0)
    scale = side / len(mask)
    logits[round(valid[0] * scale) :] = 0
    logits[:, round(valid[1] * scale) :] = 0
    return logits.astype(np.float32)


class PromptedScenes(Dataset):
    """Scene number i with its prompts.

    Most pictures are square as those of the benchmark, a fifth is not and is padded as SAM does.
    They are drawn at one to two times the size and reduced, as inference reduces large pictures.

    Args:
        length: number of pictures of the whole run.
        size: side of SAM's input in pixels.
        mask_side: side of the mask prompt.
        counts: prompts of a picture.
        zoom: least and greatest zoom of the scenes.
        start: first picture, when a run is resumed.
    """

    def __init__(
        self,
        length: int,
        size: int,
        mask_side: int,
        counts: Counts,
        zoom: tuple[float, float] = (0.85, 1.6),
        start: int = 0,
    ) -> None:
        self.length, self.size, self.mask_side = length, size, mask_side
        self.counts, self.zoom, self.start = counts, zoom, start

    def __len__(self) -> int:
        return self.length - self.start

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        """One picture.

        Returns:
            ``image`` (3, S, S) uint8 and the (2,) size ``valid`` of it that is no padding; for P
            prompts ``masks`` (P, S, S) bool, ``points`` (P, K, 2) with ``labels`` (P, K),
            ``boxes`` (P, 4), ``coarse`` (P, 1, side, side), the last made only for those prompts
            that begin with a mask.
        """
        i += self.start
        rng = np.random.default_rng([SPLITS["train"], i, 1])
        image, things, stuff = self._picture(i, rng)
        valid = image.shape[:2]
        things, stuff = ([self._pad(mask) for mask in masks] for masks in (things, stuff))
        counts = self.counts
        chosen = [
            mask
            for count in (counts.point, counts.box, counts.mask)
            for mask in _draw(things, stuff, count, rng)
        ]
        points = np.zeros((len(chosen), MAX_POINTS, 2), np.float32)
        labels = np.full((len(chosen), MAX_POINTS), -1, np.int64)
        boxes = np.zeros((len(chosen), 4), np.float32)
        coarse = np.zeros((len(chosen), 1, self.mask_side, self.mask_side), np.float32)
        first_mask = counts.point + counts.box
        for p, mask in enumerate(chosen):
            points[p, 0], labels[p, 0] = inner_point(mask, rng.random(), rng), 1
            boxes[p] = self._loose_box(mask, valid, rng)
            if p >= first_mask:
                coarse[p, 0] = coarse_logits(mask, self.mask_side, valid, rng)
                for k in range(1, 1 + int(rng.choice(3, p=(0.6, 0.25, 0.15)))):
                    inside = rng.random() < 0.5 or mask[: valid[0], : valid[1]].all()
                    where = mask if inside else self._pad(~mask[: valid[0], : valid[1]])
                    points[p, k], labels[p, k] = inner_point(where, 0, rng), int(inside)
        pixels = self._pad(image).transpose(2, 0, 1)
        return {
            "image": torch.from_numpy(np.ascontiguousarray(pixels)),
            "valid": torch.tensor(valid),
            "masks": torch.from_numpy(np.stack(chosen)),
            "points": torch.from_numpy(points),
            "labels": torch.from_numpy(labels),
            "boxes": torch.from_numpy(boxes),
            "coarse": torch.from_numpy(coarse),
        }

    def _picture(self, i, rng):
        """Image and masks with the longest side of SAM's input, perhaps mirrored."""
        side = int(self.size * (1, 1, 1.5, 2)[rng.integers(4)])
        short = side if rng.random() < 0.8 else max(8, int(side * rng.uniform(0.5, 0.95)))
        shape = (short, side) if rng.random() < 0.5 else (side, short)
        zoom = float(np.exp(rng.uniform(*np.log(self.zoom))))
        scene = render((SPLITS["train"], i), shape, zoom=zoom)
        things, stuff = targets(scene)
        step = -1 if rng.random() < 0.5 else 1
        height, width = (round(s * self.size / side) for s in shape)

        def fit(array):
            array = np.ascontiguousarray(array[:, ::step])
            if array.shape[:2] == (height, width):
                return array
            return cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)

        masks = [[fit(m.astype(np.float32)) >= 0.5 for m in group] for group in (things, stuff)]
        return fit(scene.image), *masks

    def _pad(self, array):
        """With zeros to the right and below."""
        more = [(0, self.size - n) for n in array.shape[:2]] + [(0, 0)] * (array.ndim - 2)
        return np.pad(array, more)

    def _loose_box(self, mask, valid, rng):
        """The box of a mask, moved at each side by up to a tenth of its extent or so."""
        box = box_of(mask)
        extent = np.tile(box[2:] - box[:2] + 1, 2)
        box = box + rng.normal(0, rng.uniform(0, 0.1), 4) * extent
        return np.clip(box, 0, np.tile(valid[::-1], 2) - 1).astype(np.float32)


def _draw(things, stuff, count, rng):
    """Random targets, one in four of them stuff; the same one twice only when there are few."""
    drawn, pools = [], {0: [], 1: []}
    for _ in range(count):
        which = int(bool(stuff) and (not things or rng.random() < 0.25))
        if not pools[which]:
            source = stuff if which else things
            pools[which] = [source[k] for k in rng.permutation(len(source))]
        drawn.append(pools[which].pop())
    return drawn
