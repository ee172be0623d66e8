"""What no training picture, caption or mask ever holds: the measure of openness.

Two kinds of the unknown are kept apart. A *combination* joins a color, a pattern and a thing that
are each well known but were never seen together: a model that understands words can name it. A
*new thing* has a shape and a name that never occurred: nothing can name it that was not told, but
it can be found and outlined.
"""

from __future__ import annotations

from ovseg.datasets.scenes.classes import PALETTE, STUFF, THINGS, TYPICAL_COLOR

#: Color and pattern, none of them anyone's usual look.
_LOOKS = (
    ("red", "striped"),
    ("blue", "spotted"),
    ("green", "striped"),
    ("yellow", "spotted"),
    ("purple", "striped"),
    ("white", "spotted"),
    ("pink", "striped"),
    ("gray", "spotted"),
)


def _combinations() -> tuple[tuple[str, str, str], ...]:
    """Two looks for every thing, of different color and pattern; never its typical color."""
    found = []
    for i, thing in enumerate(THINGS):
        others = [look for look in _LOOKS if look[0] != TYPICAL_COLOR[thing]]
        first = others[i % len(others)]
        second = next(
            look
            for step in range(1, len(others))
            if (look := others[(i + 2 + step) % len(others)])[1] != first[1]
        )
        found += [(*first, thing), (*second, thing)]
    return tuple(found)


#: (color, pattern, thing) triples that are drawn in the unseen world alone.
COMBINATIONS = _combinations()
#: What `render` leaves out unless it is told otherwise.
HELD_OUT = frozenset(COMBINATIONS)
#: Things of the unseen world alone, with the color most of them have.
NEW_THINGS = {
    "star": "yellow",
    "key": "gray",
    "sailboat": "white",
    "rocket": "red",
    "bird": "blue",
    "clock": "brown",
    "chair": "brown",
    "arrow": "green",
}


def combination_name(color: str, pattern: str, thing: str) -> str:
    """How captions would say it: ``striped red cat``."""
    return f"{pattern} {color} {thing}"


#: Label ids of the unseen world are positions in this tuple: stuff, combinations, new things.
UNSEEN_CLASSES = (
    *STUFF,
    *(combination_name(*triple) for triple in COMBINATIONS),
    *NEW_THINGS,
)


def unseen_palette() -> tuple[tuple[int, int, int], ...]:
    """A color to paint each class of the unseen world with, RGB, 0 to 255: stuff as ever."""
    stuff = PALETTE[: len(STUFF)]
    count = len(UNSEEN_CLASSES) - len(stuff)
    wheel = []
    for i in range(count):
        # Hues a golden ratio apart are never close to their neighbors; two levels of light.
        hue, light = (i * 0.61803) % 1 * 6, (255, 150, 205)[i % 3]
        ramp = [max(0.0, min(1.0, abs((hue + shift) % 6 - 3) - 1)) for shift in (0, 4, 2)]
        wheel.append(tuple(round(light * (0.1 + 0.9 * part)) for part in ramp))
    return (*stuff, *wheel)
