"""Crops of procedural scenes for self-distillation, endless and the same for every run of a seed.

All that leaves this module are pixels, and where in the picture each crop lies: no caption, class
or mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS

#: Side of the pictures that crops are cut from, in pixels.
CANVAS = 96
#: Pixels of the canvas on a side of a crop for each pixel of the view that is made of it: global
#: and local views show things about as large as the benchmark's windows do.
GLOBAL_SCALE = (0.8, 1.8)
LOCAL_SCALE = (0.7, 1.4)

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# From RGB to lightness and two color differences; hue turns in their plane.
_YIQ = np.array(
    [[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32
)
_RGB = np.linalg.inv(_YIQ)


@dataclass(frozen=True)
class Views:
    """Crops of one picture, or stacked of a batch of them (then with B in front).

    Attributes:
        globals: (2, 3, S, S) uint8.
        locals: (L, 3, s, s) uint8.
        boxes: (2 + L, 4) float32, where crops lie in the picture: x of the left and right edge of
            the view, y of the upper and lower, in pixels of the canvas; left is greater than right
            in a mirrored view.
    """

    globals: torch.Tensor
    locals: torch.Tensor
    boxes: torch.Tensor


class SceneViews(Dataset):
    """Crops of scene number i.

    Args:
        length: pictures of the whole run.
        size: side of the global views in pixels; for the last part of the run, ``last_size``.
        local_size: side of the local views.
        num_locals: how many of these.
        last_size: side of the global views at the end, the size the model is used at.
        last_share: the part of the run that is the end.
        start: first picture, when a run is resumed.
        batch: pictures of a step; the change of size falls between two steps.
    """

    def __init__(
        self,
        length: int,
        size: int,
        local_size: int,
        num_locals: int,
        last_size: int,
        last_share: float,
        start: int = 0,
        batch: int = 1,
    ) -> None:
        self.length, self.start = length, start
        self.size, self.last_size = size, last_size
        self.local_size, self.num_locals = local_size, num_locals
        self.change = round(length / batch * (1 - last_share)) * batch

    def __len__(self) -> int:
        return self.length - self.start

    def __getitem__(self, i: int) -> Views:
        i += self.start
        rng = np.random.default_rng([SPLITS["train"], i, 1])
        # As near as the windows in which the benchmark is read, and up to twice as near.
        zoom = rng.uniform(1.0, 2.2)
        picture = render((SPLITS["train"], i), CANVAS, zoom=zoom, num_things=(1, 4)).image
        size = self.size if i < self.change else self.last_size
        views, boxes = [], []
        for n in range(2 + self.num_locals):
            scale = rng.uniform(*(GLOBAL_SCALE if n < 2 else LOCAL_SCALE))
            side = scale * (size if n < 2 else self.local_size)
            side = min(side, CANVAS if n < 2 else boxes[0][3] - boxes[0][2])
            room = CANVAS - side
            low, high = np.zeros(2), np.full(2, room)
            if n > 0:
                # The second view has its center in the first if it can; local views lie within.
                reach = side / 2 if n == 1 else 0
                x0, x1, y0, y1 = boxes[0]
                corners = np.array([[min(x0, x1), y0], [max(x0, x1), y1]])
                low = np.clip(corners[0] - reach, 0, room)
                high = np.clip(corners[1] - side + reach, 0, room)
            x, y = low + rng.random(2) * (high - low)
            mirrored = rng.random() < 0.5
            box = (x + side, x, y, y + side) if mirrored else (x, x + side, y, y + side)
            view = _cut(picture, box, size if n < 2 else self.local_size)
            views.append(torch.from_numpy(jitter(view, rng).transpose(2, 0, 1).copy()))
            boxes.append(box)
        small = (0, 3, self.local_size, self.local_size)
        return Views(
            torch.stack(views[:2]),
            torch.stack(views[2:]) if self.num_locals else torch.zeros(small, dtype=torch.uint8),
            torch.tensor(boxes, dtype=torch.float32),
        )


def _cut(picture: np.ndarray, box: tuple[float, float, float, float], size: int) -> np.ndarray:
    """The part of a picture in a box, mirrored if the box is, at ``size`` x ``size`` pixels."""
    x0, x1, y0, y1 = box
    a, b = (x1 - x0) / size, (y1 - y0) / size
    # Pixel centers are at +0.5; the matrix maps pixels of the crop to the picture.
    back = np.array([[a, 0, x0 + a / 2 - 0.5], [0, b, y0 + b / 2 - 0.5]])
    if abs(a) > 1:  # shrinking: what lies between sampled points must count
        picture = cv2.GaussianBlur(picture, (0, 0), 0.4 * abs(a))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, back, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def jitter(view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change light, color and sharpness of a whole view (H, W, 3) uint8.

    Milder than DINO's: here color is half of what a thing or a texture is, so hue turns by 9
    degrees at most, and one view in twenty loses its color.
    """
    saturation = 0.0 if rng.random() < 0.05 else rng.uniform(0.7, 1.3)
    turn = rng.uniform(-0.15, 0.15)
    cos, sin = saturation * np.cos(turn), saturation * np.sin(turn)
    hue = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]], np.float32)
    gain = rng.uniform(0.7, 1.3) * rng.uniform(0.94, 1.06, (3, 1)).astype(np.float32)
    matrix = gain * (_RGB @ hue @ _YIQ)
    x = view.astype(np.float32) @ matrix.T.astype(np.float32)
    middle = float((x.mean((0, 1)) * _LUMA).sum())
    x = (x - middle) * np.float32(rng.uniform(0.7, 1.3)) + np.float32(middle)
    if rng.random() < 0.3:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.0))
    if rng.random() < 0.3:
        x += rng.standard_normal(x.shape, dtype=np.float32) * np.float32(rng.uniform(1, 8))
    return np.clip(x, 0, 255).astype(np.uint8)


def collate(samples: list[Views]) -> Views:
    """A batch of pictures."""
    return Views(
        torch.stack([s.globals for s in samples]),
        torch.stack([s.locals for s in samples]),
        torch.stack([s.boxes for s in samples]),
    )


def block_masks(count: int, side: int, rng: np.random.Generator) -> torch.Tensor:
    """Which patches are hidden from the student: (count, side * side) bool.

    As iBOT: every second picture whole, in the others blocks that hide a fifth to three fifths.
    """
    masks = np.zeros((count, side, side), bool)
    for n in range(0, count, 2):
        wanted = rng.uniform(0.2, 0.6) * side * side
        for _ in range(20):
            if masks[n].sum() >= wanted:
                break
            high, wide = rng.integers(2, max(3, side // 2), 2)
            top, left = rng.integers(0, side - high + 1), rng.integers(0, side - wide + 1)
            masks[n, top : top + high, left : left + wide] = True
    order = rng.permutation(count)
    return torch.from_numpy(masks[order].reshape(count, -1))
