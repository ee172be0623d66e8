"""The stuff as seamless-enough textures, made once per process from a fixed seed.

A texture is drawn for scenes of 256 units on the short side; `crop` cuts a piece of the wanted
extent and brings it to the wanted number of pixels, so that a scene is the same at any size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from ovseg.datasets.scenes.classes import COLORS

SIDE = 1024
#: Texture pixels on the short side of an unzoomed scene.
UNIT = 256
VARIANTS = 4

_PAINTERS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {}


def _paints(name: str):
    def register(painter):
        _PAINTERS[name] = painter
        return painter

    return register


def smooth_noise(rng: np.random.Generator, side: int, cells: tuple[int, ...], decay: float = 0.6):
    """Sum of noise octaves, each a grid of ``cells`` random values enlarged; (side, side), 0..1."""
    total, weight, norm = np.zeros((side, side), np.float32), 1.0, 0.0
    for n in cells:
        grid = rng.random((n, n), dtype=np.float32)
        total += weight * cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
        norm += weight
        weight *= decay
    return total / norm


def _blend(amount: np.ndarray, low, high) -> np.ndarray:
    low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
    return low + (high - low) * amount[..., None]


def _axes() -> tuple[np.ndarray, np.ndarray]:
    """Pixel rows (SIDE, 1) and columns (1, SIDE)."""
    places = np.arange(SIDE, dtype=np.float32)
    return places[:, None], places[None]


def _grain(rng: np.random.Generator, amount: float) -> np.ndarray:
    """Speckle of two pixels' size, so that it survives the halving of 128-pixel scenes."""
    small = rng.random((SIDE // 2, SIDE // 2), dtype=np.float32) - 0.5
    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)[..., None] * amount


@_paints("sky")
def _sky(rng):
    clouds = np.clip((smooth_noise(rng, SIDE, (10, 20, 40), 0.55) - 0.5) * 5, 0, 1)
    return _blend(clouds, (90, 155, 225), (240, 244, 248))


@_paints("night sky")
def _night_sky(rng):
    image = _blend(smooth_noise(rng, SIDE, (6, 14, 34)), (12, 14, 45), (40, 40, 95))
    stars = np.zeros((SIDE, SIDE), np.float32)
    for x, y in rng.integers(0, SIDE, (1600, 2)):
        cv2.circle(stars, (int(x), int(y)), int(rng.integers(1, 3)), 1.0, -1, cv2.LINE_AA)
    return image + stars[..., None] * 190


@_paints("sunset")
def _sunset(rng):
    bands = rng.random((48, 4), dtype=np.float32)
    bands = cv2.resize(bands, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    mix = np.clip((smooth_noise(rng, SIDE, (5, 8)) + bands) * 0.5, 0, 1)
    return _blend(mix, (250, 170, 80), (190, 70, 110))


@_paints("brick wall")
def _brick_wall(rng):
    y, x = _axes()
    high = int(rng.integers(15, 24))
    wide = high * 2.2
    row = np.floor(y / high)
    shifted = x + (row % 2) * wide / 2
    mortar = (y % high < 2.8) | (shifted % wide < 2.8)
    tone = (row * 131 + np.floor(shifted / wide) * 37) % 17 / 17
    image = _blend(
        tone * 0.6 + smooth_noise(rng, SIDE, (8, 16, 40)) * 0.4, (130, 55, 45), (185, 95, 75)
    )
    image[mortar] = (190, 180, 170)
    return image + _grain(rng, 20)


@_paints("curtain")
def _curtain(rng):
    _, x = _axes()
    across = x / rng.uniform(18, 32) * 6.28
    folds = 0.5 + 0.5 * np.sin(across + 3 * smooth_noise(rng, SIDE, (8, 16)))
    base = np.array(list(COLORS.values())[rng.integers(0, 8)], np.float32)
    return _blend(folds, base * 0.55, np.minimum(base * 1.15, 255))


@_paints("grass")
def _grass(rng):
    blades = rng.random((SIDE // 8, SIDE // 2), dtype=np.float32)
    blades = cv2.resize(blades, (SIDE, SIDE))
    mix = blades * 0.7 + smooth_noise(rng, SIDE, (8, 16, 40)) * 0.3
    return _blend(mix, (35, 95, 25), (120, 180, 60))


@_paints("sand")
def _sand(rng):
    y, _ = _axes()
    noise = smooth_noise(rng, SIDE, (8, 16, 40))
    ripples = 8 * np.sin(y / 10 + 8 * noise)[..., None]
    return _blend(noise, (200, 170, 115), (235, 210, 160)) + _grain(rng, 40) + ripples


@_paints("water")
def _water(rng):
    y, _ = _axes()
    waves = np.sin(y / rng.uniform(2.8, 4.8) + 14 * smooth_noise(rng, SIDE, (16, 32)))
    mix = (0.5 + 0.5 * waves) * 0.7 + smooth_noise(rng, SIDE, (8, 16, 40)) * 0.3
    return _blend(mix, (20, 75, 120), (80, 160, 190))


@_paints("snow")
def _snow(rng):
    drifts = np.clip((smooth_noise(rng, SIDE, (6, 14, 34)) - 0.3) * 2, 0, 1)
    return _blend(drifts, (200, 212, 232), (250, 250, 252))


@_paints("wood floor")
def _wood_floor(rng):
    y, x = _axes()
    high = int(rng.integers(20, 32))
    row = np.floor(y / high)
    fibres = cv2.resize(rng.random((SIDE // 2, SIDE // 40), dtype=np.float32), (SIDE, SIDE))
    image = _blend((row * 53) % 7 / 7 * 0.5 + fibres * 0.5, (130, 85, 45), (195, 140, 85))
    image[(y % high < 2.4) | ((x + (row * 197) % 400) % 180 < 2.4)] = (80, 50, 30)
    return image


@_paints("road")
def _road(rng):
    y, x = _axes()
    image = _blend(smooth_noise(rng, SIDE, (8, 16, 40)), (75, 75, 80), (110, 110, 112))
    image += _grain(rng, 45)
    image[(y % 88 < 6) & (x % 80 < 44)] = (225, 220, 190)
    return image


@_paints("tiles")
def _tiles(rng):
    y, x = _axes()
    side = int(rng.integers(18, 30))
    checker = (np.floor(y / side) + np.floor(x / side)) % 2
    light = ((225, 225, 220), (230, 215, 190), (205, 220, 225))[rng.integers(3)]
    dark = ((60, 60, 65), (110, 70, 60), (60, 95, 110))[rng.integers(3)]
    return _blend(checker * 0.95, light, dark) + _grain(rng, 10)


@lru_cache(maxsize=64)
def texture(name: str, variant: int) -> np.ndarray:
    """One texture of a stuff class: (SIDE, SIDE, 3) uint8 RGB; the same in every process."""
    names = list(_PAINTERS)
    rng = np.random.default_rng([7, names.index(name), variant])
    tint = rng.uniform(0.88, 1.12, 3).astype(np.float32)
    return np.clip(_PAINTERS[name](rng) * tint, 0, 255).astype(np.uint8)


@lru_cache(maxsize=8)
def surface_noise(variant: int) -> np.ndarray:
    """Mottling for the surfaces of things: (SIDE, SIDE) float32, 0..1."""
    return smooth_noise(np.random.default_rng([8, variant]), SIDE, (20, 60, 120))


def crop(
    rng: np.random.Generator, name: str, size: tuple[int, int], zoom: float
) -> tuple[np.ndarray, np.ndarray]:
    """A random piece of a texture, perhaps mirrored, and the light that falls on it.

    Args:
        rng: consumed by the same number of draws whatever the size.
        name: stuff class.
        size: (H, W) in pixels.
        zoom: how much the piece is magnified; 1 shows `UNIT` texture pixels on the short side.

    Returns:
        The piece, (H, W, 3) uint8 RGB, and a factor for each channel, (3,) float32. They are
        multiplied by the caller, who may need only a part.
    """
    source = texture(name, int(rng.integers(VARIANTS)))
    magnification = zoom * rng.uniform(0.75, 1.3)
    extent = np.array(size) / min(size) * UNIT / magnification
    extent = np.maximum(np.minimum(extent, SIDE - 1).astype(int), 1)
    top, left = ((SIDE - extent) * rng.random(2)).astype(int)
    piece = source[top : top + extent[0], left : left + extent[1]]
    if rng.random() < 0.5:
        piece = cv2.flip(piece, 1)
    shrinking = extent[0] > size[0]
    interpolation = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    piece = cv2.resize(piece, (size[1], size[0]), interpolation=interpolation)
    light = rng.uniform(0.8, 1.15) * rng.uniform(0.94, 1.06, 3)
    return piece, light.astype(np.float32)
