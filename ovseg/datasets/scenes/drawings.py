"""The things as vector drawings: each a list of filled polygons with a paint.

Coordinates are in a square of -1 to 1, x to the right and y downwards. Later parts cover earlier
ones. A paint is a role in a palette that is mixed anew for every instance.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

MAIN, DARK, WOOD, WHITE, BLACK, ACCENT, LIGHT, LEAF, CARROT = range(9)

Part = tuple[np.ndarray, int]


def _polygon(*xy: float) -> np.ndarray:
    return np.array(xy, float).reshape(-1, 2)


def _box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return _polygon(x0, y0, x1, y0, x1, y1, x0, y1)


def _arc(cx, cy, rx, ry, start=0.0, stop=360.0, n=18) -> np.ndarray:
    t = np.deg2rad(np.linspace(start, stop, n))
    return np.stack([cx + rx * np.cos(t), cy + ry * np.sin(t)], axis=1)


def _line(x0, y0, x1, y1, width) -> np.ndarray:
    a, b = np.array([x0, y0], float), np.array([x1, y1], float)
    along = (b - a) / np.hypot(*(b - a))
    across = np.array([-along[1], along[0]]) * width / 2
    return np.stack([a + across, b + across, b - across, a - across])


def _ring(cx, cy, radius, width, start=0.0, stop=360.0, n=14) -> np.ndarray:
    outer = _arc(cx, cy, radius, radius, start, stop, n)
    inner = _arc(cx, cy, radius - width, radius - width, start, stop, n)
    return np.concatenate([outer, inner[::-1]])


def _heart_outline() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 30)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y], axis=1) / 17


def _petals() -> list[Part]:
    angles = np.arange(6) * np.pi / 3
    return [
        (_arc(0.42 * np.cos(a), -0.35 + 0.42 * np.sin(a), 0.3, 0.3, n=12), (MAIN, DARK)[i % 2])
        for i, a in enumerate(angles)
    ]


def _umbrella_canopy() -> np.ndarray:
    scallops = _polygon(0.66, -0.1, 0.33, 0.05, 0, -0.1, -0.33, 0.05, -0.66, -0.1)
    return np.concatenate([_arc(0, 0.05, 1, 0.95, 180, 360), scallops])


def _star(radius: float) -> np.ndarray:
    t = np.arange(10) * np.pi / 5 - np.pi / 2
    reach = np.where(np.arange(10) % 2 == 0, radius, 0.42 * radius)
    return np.stack([reach * np.cos(t), reach * np.sin(t)], axis=1)


@lru_cache(maxsize=1)
def drawings() -> dict[str, tuple[Part, ...]]:
    """Every thing's parts, by class name."""
    table: dict[str, list[Part]] = {
        "tree": [
            (_box(-0.15, 0.3, 0.15, 1), WOOD),
            (_arc(-0.35, 0, 0.45, 0.42), MAIN),
            (_arc(0.35, 0, 0.45, 0.42), DARK),
            (_arc(0, -0.45, 0.5, 0.5), MAIN),
        ],
        "house": [
            (_box(-0.7, -0.1, 0.7, 0.95), MAIN),
            (_polygon(-0.95, -0.1, 0, -0.9, 0.95, -0.1), DARK),
            (_box(-0.15, 0.4, 0.2, 0.95), WOOD),
            (_box(-0.55, 0.15, -0.25, 0.45), WHITE),
            (_box(0.35, 0.15, 0.6, 0.45), WHITE),
        ],
        "car": [
            (
                _polygon(
                    -1, 0.1, -0.95, 0.45, 1, 0.45, 0.98, 0.15, 0.6, 0.05,
                    0.35, -0.4, -0.45, -0.4, -0.7, 0.05,
                ),
                MAIN,
            ),
            (_polygon(-0.55, 0.03, -0.38, -0.3, -0.08, -0.3, -0.08, 0.03), WHITE),
            (_polygon(0.02, 0.03, 0.02, -0.3, 0.28, -0.3, 0.45, 0.03), WHITE),
            (_arc(-0.55, 0.45, 0.24, 0.24), BLACK),
            (_arc(0.55, 0.45, 0.24, 0.24), BLACK),
            (_arc(-0.55, 0.45, 0.1, 0.1), WHITE),
            (_arc(0.55, 0.45, 0.1, 0.1), WHITE),
        ],
        "fish": [
            (_polygon(0.45, 0, 1, -0.5, 0.85, 0, 1, 0.5), DARK),
            (_arc(-0.15, 0, 0.8, 0.48), MAIN),
            (_polygon(-0.2, -0.4, 0.25, -0.75, 0.3, -0.35), DARK),
            (_arc(-0.6, -0.1, 0.13, 0.13), WHITE),
            (_arc(-0.62, -0.1, 0.06, 0.06), BLACK),
            (_line(-0.3, -0.3, -0.3, 0.3, 0.07), DARK),
        ],
        "heart": [(_heart_outline(), MAIN), (_arc(-0.4, -0.35, 0.15, 0.12), LIGHT)],
        "crown": [
            (
                _polygon(
                    -0.9, -0.5, -0.45, 0, 0, -0.8, 0.45, 0, 0.9, -0.5, 0.75, 0.65, -0.75, 0.65
                ),
                MAIN,
            ),
            (_box(-0.76, 0.42, 0.76, 0.7), DARK),
            (_arc(0, -0.8, 0.12, 0.12), ACCENT),
            (_arc(-0.9, -0.52, 0.1, 0.1), ACCENT),
            (_arc(0.9, -0.52, 0.1, 0.1), ACCENT),
            (_arc(0, 0.3, 0.13, 0.13), ACCENT),
        ],
        "flower": [
            (_line(0, 0.1, 0, 1, 0.12), LEAF),
            (_polygon(0, 0.75, 0.45, 0.5, 0.3, 0.8), LEAF),
            *_petals(),
            (_arc(0, -0.35, 0.24, 0.24), ACCENT),
        ],
        "umbrella": [
            (_line(0, -0.1, 0, 0.8, 0.1), BLACK),
            (_ring(0.17, 0.75, 0.22, 0.1, 0, 180), BLACK),
            (_umbrella_canopy(), MAIN),
            (_polygon(0, -0.9, 0.33, 0.05, 0, -0.1, -0.33, 0.05), DARK),
        ],
        "cat": [
            (_polygon(-0.8, 0.1, -0.75, -0.95, -0.1, -0.45), MAIN),
            (_polygon(0.8, 0.1, 0.75, -0.95, 0.1, -0.45), MAIN),
            (_arc(0, 0.15, 0.82, 0.72), MAIN),
            (_polygon(-0.62, -0.3, -0.62, -0.7, -0.3, -0.45), LIGHT),
            (_polygon(0.62, -0.3, 0.62, -0.7, 0.3, -0.45), LIGHT),
            (_arc(-0.33, 0.02, 0.15, 0.19), WHITE),
            (_arc(0.33, 0.02, 0.15, 0.19), WHITE),
            (_arc(-0.33, 0.02, 0.06, 0.16), BLACK),
            (_arc(0.33, 0.02, 0.06, 0.16), BLACK),
            (_polygon(-0.1, 0.3, 0.1, 0.3, 0, 0.42), ACCENT),
            (_line(-0.2, 0.45, -0.75, 0.35, 0.05), LIGHT),
            (_line(0.2, 0.45, 0.75, 0.35, 0.05), LIGHT),
        ],
        "snowman": [
            (_arc(0, 0.5, 0.58, 0.5), MAIN),
            (_arc(0, -0.2, 0.4, 0.38), MAIN),
            (_box(-0.5, -0.58, 0.5, -0.46), BLACK),
            (_box(-0.3, -1, 0.3, -0.5), BLACK),
            (_box(-0.38, 0.02, 0.38, 0.16), ACCENT),
            (_arc(-0.14, -0.28, 0.06, 0.06), BLACK),
            (_arc(0.14, -0.28, 0.06, 0.06), BLACK),
            (_polygon(0, -0.2, 0.3, -0.1, 0, -0.08), CARROT),
            (_arc(0, 0.4, 0.06, 0.06), BLACK),
            (_arc(0, 0.65, 0.06, 0.06), BLACK),
        ],
        "cup": [
            (_ring(0.6, 0, 0.4, 0.16, -100, 100), DARK),
            (_polygon(-0.7, -0.6, 0.6, -0.6, 0.42, 0.75, -0.5, 0.75), MAIN),
            (_arc(-0.05, -0.6, 0.65, 0.16), WOOD),
            (_box(-0.62, -0.1, 0.52, 0.08), ACCENT),
        ],
        "cactus": [
            (_box(-0.2, -0.75, 0.2, 0.95), MAIN),
            (_arc(0, -0.75, 0.2, 0.2), MAIN),
            (_box(-0.7, -0.05, -0.2, 0.2), MAIN),
            (_box(-0.75, -0.5, -0.5, 0.2), MAIN),
            (_box(0.2, 0.15, 0.65, 0.38), DARK),
            (_box(0.45, -0.25, 0.7, 0.38), DARK),
            (_line(-0.07, -0.7, -0.07, 0.9, 0.05), DARK),
            (_line(0.08, -0.7, 0.08, 0.9, 0.05), LIGHT),
        ],
        "butterfly": [
            (_arc(-0.5, -0.35, 0.45, 0.48), MAIN),
            (_arc(0.5, -0.35, 0.45, 0.48), MAIN),
            (_arc(-0.4, 0.4, 0.34, 0.4), DARK),
            (_arc(0.4, 0.4, 0.34, 0.4), DARK),
            (_arc(-0.5, -0.35, 0.18, 0.2), LIGHT),
            (_arc(0.5, -0.35, 0.18, 0.2), LIGHT),
            (_arc(0, 0, 0.09, 0.7), BLACK),
            (_line(0, -0.6, -0.25, -0.98, 0.05), BLACK),
            (_line(0, -0.6, 0.25, -0.98, 0.05), BLACK),
        ],
        "balloon": [
            (_line(0, 0.4, 0.08, 1, 0.06), BLACK),
            (_polygon(0, 0.25, -0.14, 0.5, 0.14, 0.5), DARK),
            (_arc(0, -0.3, 0.6, 0.7), MAIN),
            (_arc(-0.22, -0.55, 0.12, 0.18), LIGHT),
        ],
        "mushroom": [
            (_polygon(-0.22, 0, 0.22, 0, 0.32, 0.9, -0.32, 0.9), WHITE),
            (_arc(0, 0.1, 0.95, 0.9, 180, 360), MAIN),
            (_arc(-0.4, -0.25, 0.16, 0.14), WHITE),
            (_arc(0.15, -0.5, 0.16, 0.14), WHITE),
            (_arc(0.5, -0.1, 0.14, 0.12), WHITE),
        ],
        "guitar": [
            (_box(-0.1, -0.95, 0.1, 0.1), WOOD),
            (_box(-0.18, -1.05, 0.18, -0.78), BLACK),
            (_arc(0, 0.05, 0.4, 0.36), MAIN),
            (_arc(0, 0.5, 0.55, 0.48), MAIN),
            (_arc(0, 0.2, 0.16, 0.16), BLACK),
            (_box(-0.22, 0.6, 0.22, 0.7), BLACK),
        ],
        # The things of the unseen world, see `held_out`.
        "star": [(_star(1.0), MAIN), (_star(0.5), LIGHT)],
        "key": [
            (_ring(-0.55, 0, 0.42, 0.2), MAIN),
            (_box(-0.2, -0.1, 0.95, 0.1), MAIN),
            (_box(0.52, 0.05, 0.66, 0.42), DARK),
            (_box(0.79, 0.05, 0.93, 0.48), DARK),
        ],
        "sailboat": [
            (_line(0, -0.95, 0, 0.5, 0.1), WOOD),
            (_polygon(0.08, -0.85, 0.08, 0.3, 0.8, 0.3), MAIN),
            (_polygon(-0.08, -0.6, -0.08, 0.3, -0.65, 0.3), LIGHT),
            (_polygon(-0.95, 0.42, 0.95, 0.42, 0.6, 0.9, -0.65, 0.9), DARK),
        ],
        "rocket": [
            (_polygon(-0.2, 0.6, 0, 1.05, 0.2, 0.6), CARROT),
            (_polygon(-0.3, 0.1, -0.68, 0.75, -0.28, 0.6), DARK),
            (_polygon(0.3, 0.1, 0.68, 0.75, 0.28, 0.6), DARK),
            (_box(-0.32, -0.2, 0.32, 0.65), MAIN),
            (_arc(0, -0.2, 0.33, 0.85, 180, 360), MAIN),
            (_arc(0, -0.25, 0.17, 0.17), WHITE),
            (_box(-0.32, 0.3, 0.32, 0.42), DARK),
        ],
        "bird": [
            (_line(0, 0.45, 0, 0.88, 0.07), BLACK),
            (_line(0.2, 0.45, 0.2, 0.88, 0.07), BLACK),
            (_polygon(0.55, 0.1, 1, -0.15, 0.95, 0.3), DARK),
            (_arc(0.05, 0.12, 0.65, 0.4), MAIN),
            (_arc(-0.5, -0.3, 0.3, 0.3), MAIN),
            (_polygon(-0.75, -0.4, -1.05, -0.22, -0.75, -0.15), CARROT),
            (_arc(-0.55, -0.38, 0.07, 0.07), BLACK),
            (_polygon(-0.2, 0, 0.5, 0, 0.15, 0.4), DARK),
        ],
        "clock": [
            (_arc(0, 0, 0.95, 0.95), MAIN),
            (_arc(0, 0, 0.74, 0.74), WHITE),
            (_line(0, 0.05, 0, -0.58, 0.1), BLACK),
            (_line(0, 0, 0.42, 0.2, 0.1), BLACK),
        ],
        "chair": [
            (_box(0.42, 0.1, 0.6, 0.95), DARK),
            (_box(-0.25, 0.1, -0.12, 0.75), DARK),
            (_box(0.15, 0.1, 0.28, 0.75), DARK),
            (_box(-0.6, -0.95, -0.42, 0.95), MAIN),
            (_box(-0.6, -0.95, -0.25, -0.1), MAIN),
            (_box(-0.6, 0, 0.6, 0.2), MAIN),
        ],
        "arrow": [
            (
                _polygon(
                    -1, -0.22, 0.2, -0.22, 0.2, -0.65, 1, 0, 0.2, 0.65, 0.2, 0.22, -1, 0.22
                ),
                MAIN,
            ),
            (_box(-0.9, -0.07, 0.4, 0.07), LIGHT),
        ],
    }  # fmt: skip
    return {name: tuple(parts) for name, parts in table.items()}
