"""Films of procedural scenes for self-distillation, and the views of them that are compared.

All that leaves this module are pixels: no caption, class or mask.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset

from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS

#: Side of the pictures that views are cut from, in pixels.
CANVAS = 80
#: How much of a picture's side a view shows.
GLOBAL_SCALE, LOCAL_SCALE = (0.6, 1.0), (0.3, 0.6)

# From RGB to lightness and two color differences; hue turns in their plane.
_YIQ = torch.tensor(
    [[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]]
)  # fmt: skip
_RGB = torch.linalg.inv(_YIQ)


class Films(Dataset):
    """Two moments of scene number i: the same place and things, moved, turned, in other light.

    Half of the films show one thing from near, a fifth a place without things, the others a few
    things. DINO was made on photographs that mostly show one subject, too; that two views are of
    two moments, as in self-supervision from video, keeps them from being told by where the
    horizon lies or how a texture is cut, which says nothing about what is seen.

    Args:
        length: films of the whole run.
        start: first film, when a run is resumed.
    """

    def __init__(self, length: int, start: int = 0) -> None:
        self.length, self.start = length, start

    def __len__(self) -> int:
        return self.length - self.start

    def __getitem__(self, i: int) -> torch.Tensor:
        """(2, 3, CANVAS, CANVAS) uint8."""
        i += self.start
        rng = np.random.default_rng([SPLITS["train"], i, 1])
        kind = int(rng.choice(3, p=(0.5, 0.2, 0.3)))
        zoom = ((2.2, 3.8), (1.2, 2.5), (1.6, 2.4))[kind]
        count = ((1, 1), (0, 0), (1, 3))[kind]
        first = render((SPLITS["train"], i), CANVAS, zoom=rng.uniform(*zoom), num_things=count)
        later = render((SPLITS["train"], i, 1), CANVAS, zoom=rng.uniform(*zoom), like=first)
        pictures = np.stack([first.image, later.image])
        return torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy())


@lru_cache(maxsize=1)
def still_windows(count: int, size: int = 128, window: int = 64) -> np.ndarray:
    """Training scenes of the benchmark's kind, cut into windows: (B, window, window, 3) uint8.

    Args:
        count: scenes.
        size: side that scenes of twice as many pixels are brought to.
        window: side of the windows, side by side.
    """
    images = (render((SPLITS["train"], i), 2 * size).image for i in range(count))
    return cut(np.stack([reduced(image, size) for image in images]), window)


def reduced(image: np.ndarray, size: int) -> np.ndarray:
    """A square picture at another size: (size, size, 3) uint8."""
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)


def cut(maps: np.ndarray, side: int) -> np.ndarray:
    """Windows side by side of maps (B, H, W, ...), row by row: (N, side, side, ...).

    What is left over to the right and below is left out.
    """
    rows, columns = maps.shape[1] // side, maps.shape[2] // side
    maps = maps[:, : rows * side, : columns * side]
    windows = maps.reshape(len(maps), rows, side, columns, side, *maps.shape[3:]).swapaxes(2, 3)
    return windows.reshape(-1, side, side, *maps.shape[3:])


def make_views(
    pictures: torch.Tensor,
    size: int,
    scale: tuple[float, float],
    count: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """Cut views out of pictures anywhere, mirrored or not, and change their light and colors.

    Args:
        pictures: (B, 3, H, W) uint8.
        size: side of the views in pixels.
        scale: how much of a picture's side a view shows, from and to.
        count: views of each picture.
        generator: of the CPU.

    Returns:
        (B * count, 3, size, size) float, 0 to 255; those of a picture follow one another.
    """
    n = len(pictures) * count
    side = _uniform(n, *scale, generator)
    middle = _uniform(2 * n, -1, 1, generator).view(n, 2) * (1 - side)[:, None]
    mirror = 1 - 2 * (torch.rand(n, generator=generator) < 0.5).float()
    aspect = _uniform(n, -0.15, 0.15, generator).exp()
    place = torch.zeros(n, 2, 3)
    place[:, 0, 0], place[:, 1, 1] = side * mirror * aspect, side / aspect
    place[:, :, 2] = middle
    grid = F.affine_grid(place.to(pictures.device), (n, 3, size, size), align_corners=False)
    whole = pictures.float().repeat_interleave(count, 0)
    views = F.grid_sample(whole, grid, padding_mode="reflection", align_corners=False)
    return change_colors(views, generator)


def change_colors(
    views: torch.Tensor,
    generator: torch.Generator,
    strength: float = 0.25,
    hue: float = 0.15,
    gray: float = 0.05,
) -> torch.Tensor:
    """Change light, contrast, colors and noise of each view.

    Milder than DINO's, which has to make color worthless: here it is half of what a thing or a
    texture is.

    Args:
        views: (N, 3, H, W), 0 to 255.
        generator: of the CPU.
        strength: how far brightness, contrast and saturation go from 1.
        hue: how far hues turn, in radians.
        gray: how often color is taken away.
    """
    n, device = len(views), views.device

    def draw(low: float, high: float, times: int = 1) -> torch.Tensor:
        return _uniform(n * times, low, high, generator)

    saturation = draw(1 - strength, 1 + strength)
    saturation = saturation * (torch.rand(n, generator=generator) >= gray)
    turn = draw(-hue, hue)
    cos, sin = saturation * turn.cos(), saturation * turn.sin()
    colors = torch.zeros(n, 3, 3)
    colors[:, 0, 0] = 1
    colors[:, 1, 1], colors[:, 1, 2] = cos, -sin
    colors[:, 2, 1], colors[:, 2, 2] = sin, cos
    light = draw(1 - strength, 1 + strength)[:, None] * draw(0.94, 1.06, 3).view(n, 3)
    matrix = light[:, :, None] * (_RGB @ colors @ _YIQ)
    views = torch.einsum("nij,njhw->nihw", matrix.to(device), views)
    middle = views.mean((1, 2, 3), keepdim=True)
    contrast = draw(1 - strength, 1 + strength).view(n, 1, 1, 1).to(device)
    views = (views - middle) * contrast + middle
    noise = draw(0, 8) * (torch.rand(n, generator=generator) < 0.3)
    grain = torch.randn(views.shape, generator=generator) * noise.view(n, 1, 1, 1)
    return (views + grain.to(device)).clamp(0, 255)


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)


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
