"""Class colors: a color belongs to a name, so it is the same in every picture and every run.

A name is hashed into a point of OKLCH, the polar form of OKLab (Ottosson, 2020,
https://bottosson.github.io/posts/oklab/), where equal steps look equally large; lightness and
chroma are kept in a band that shows on photographs. A few common words get the color one expects
of them. Within one vocabulary, a name whose color would be hard to tell from another's takes the
next color of its own sequence; who yields is decided by the hashes, not by the order of the list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

__all__ = ["class_color", "class_colors"]

NATURAL_COLORS: dict[str, tuple[int, int, int]] = {
    "background": (92, 96, 104),
    "other": (92, 96, 104),
    "sky": (92, 178, 250),
    "cloud": (178, 196, 232),
    "water": (30, 110, 214),
    "sea": (18, 84, 176),
    "river": (62, 140, 205),
    "grass": (124, 196, 60),
    "tree": (34, 128, 56),
    "plant": (86, 160, 84),
    "earth": (150, 108, 70),
    "sand": (226, 196, 130),
    "mountain": (122, 130, 172),
    "snow": (222, 248, 255),
    "road": (132, 86, 130),
    "sidewalk": (214, 120, 200),
    "building": (196, 110, 84),
    "wall": (172, 160, 138),
    "floor": (206, 138, 78),
    "ceiling": (206, 200, 200),
    "fire": (252, 96, 26),
    "person": (228, 44, 82),
}
"""Color (R, G, B, each 0..255) of names whose color everybody expects."""

# Of 60,000 salts the one that tells the first names of the benchmarks' lists apart best.
_SALT = b"57804"
_CANDIDATES = 48  # colors a name may try before it takes the best of them
_MIN_DISTANCE = 0.06  # OKLab distance under which two colors are hard to tell apart
_SEARCH_LIMIT = 1024  # with more names than this nothing can be told apart anyhow


def class_color(name: str) -> tuple[int, int, int]:
    """Color of one name on its own.

    Args:
        name: a class name; case and surrounding spaces do not matter.

    Returns:
        (R, G, B), each 0..255.
    """
    key = _key(name)
    if key in NATURAL_COLORS:
        return NATURAL_COLORS[key]
    red, green, blue = _to_rgb(_candidates(key)[:1])[0].tolist()
    return red, green, blue


def class_colors(names: Sequence[str]) -> np.ndarray:
    """Colors of all names of a vocabulary.

    The color of a name does not depend on the order of the names; it depends on the other names
    only where two would be hard to tell apart. Equal names get equal colors.

    Args:
        names: the C class names.

    Returns:
        (C, 3) uint8 RGB, read-only.
    """
    return _class_colors(tuple(names))


@lru_cache(maxsize=64)
def _class_colors(names: tuple[str, ...]) -> np.ndarray:
    keys = [_key(name) for name in names]
    unique = sorted(set(keys), key=lambda key: (key not in NATURAL_COLORS, _digest(key)))
    search = len(unique) <= _SEARCH_LIMIT
    taken = np.empty((len(unique), 3))  # OKLab
    chosen: dict[str, np.ndarray] = {}
    for n, key in enumerate(unique):
        if key in NATURAL_COLORS:
            rgb = np.array(NATURAL_COLORS[key], dtype=np.uint8)
            taken[n] = _to_oklab(rgb)
        else:
            lab = _candidates(key)
            pick = _first_free(lab, taken[:n]) if search else 0
            taken[n] = lab[pick]
            rgb = _to_rgb(lab[pick : pick + 1])[0]
        chosen[key] = rgb
    colors = np.array([chosen[key] for key in keys], dtype=np.uint8).reshape(-1, 3)
    colors.setflags(write=False)
    return colors


def _first_free(lab: np.ndarray, taken: np.ndarray) -> int:
    """Index of the first candidate far enough from all taken colors, else of the farthest one."""
    if not len(taken):
        return 0
    nearest = np.linalg.norm(lab[:, None] - taken[None], axis=-1).min(axis=1)
    free = np.flatnonzero(nearest >= _MIN_DISTANCE)
    return int(free[0]) if len(free) else int(nearest.argmax())


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@lru_cache(maxsize=16384)
def _candidates(key: str) -> np.ndarray:
    """The sequence of colors of a name, (n, 3) OKLab, all of them inside sRGB."""
    seed = hashlib.shake_128(_SALT + key.encode("utf-8", "surrogatepass")).digest(6 * _CANDIDATES)
    unit = np.frombuffer(seed, dtype="<u2").reshape(_CANDIDATES, 3) / 65535.0
    hue = 2 * np.pi * unit[:, 0]
    lightness = 0.52 + 0.32 * unit[:, 1]
    chroma = 0.13 + 0.11 * unit[:, 2]
    direction = np.stack([np.cos(hue), np.sin(hue)], axis=-1)
    # Colors outside sRGB lose chroma, never hue or lightness, until they fit.
    for _ in range(40):
        lab = np.concatenate([lightness[:, None], chroma[:, None] * direction], axis=-1)
        linear = _linear_rgb(lab)
        outside = ((linear < 0) | (linear > 1)).any(axis=-1)
        if not outside.any():
            break
        chroma = np.where(outside, chroma * 0.96, chroma)
    return lab


_LMS_FROM_LAB = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_RGB_FROM_LMS = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def _linear_rgb(lab: np.ndarray) -> np.ndarray:
    return (lab @ _LMS_FROM_LAB.T) ** 3 @ _RGB_FROM_LMS.T


def _to_rgb(lab: np.ndarray) -> np.ndarray:
    linear = np.clip(_linear_rgb(lab), 0, 1)
    gamma = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * gamma).astype(np.uint8)


def _to_oklab(rgb: np.ndarray) -> np.ndarray:
    value = rgb / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    lms = linear @ np.linalg.inv(_RGB_FROM_LMS).T
    return np.cbrt(lms) @ np.linalg.inv(_LMS_FROM_LAB).T
