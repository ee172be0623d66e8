"""Say in words what a scene shows: captions are all the supervision the nano CLIP gets."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ovseg.datasets.scenes.classes import plural
from ovseg.datasets.scenes.render import Scene, Thing

_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
_OPENINGS = ("", "", "a photo of ", "a picture of ", "a scene with ", "there is ", "an image of ")
#: Things smaller than this share of the picture go unmentioned, as people would leave them out.
MENTIONED = 0.002


def article(words: str) -> str:
    """``a`` or ``an`` before the words."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def describe(thing: Thing, rng: np.random.Generator) -> str:
    """A thing with none, one or both of its attributes: ``car``, ``striped car``, ``red car``."""
    words = [thing.name]
    if rng.random() < 0.5:
        words.insert(0, thing.color)
    if thing.pattern != "plain" and rng.random() < 0.5:
        words.insert(0, thing.pattern)
    return " ".join(words)


def mentioned(scene: Scene) -> list[Thing]:
    """The things large enough to be talked about."""
    return [t for t in scene.things if t.area >= MENTIONED * scene.semantic.size]


def phrases(scene: Scene, rng: np.random.Generator) -> list[str]:
    """Short phrases that are true of the scene: its things with attributes, then its stuff."""
    return [describe(t, rng) for t in mentioned(scene)] + list(dict.fromkeys(scene.stuff))


def caption(scene: Scene, rng: np.random.Generator | int | tuple[int, ...] = 0) -> str:
    """One sentence about the scene.

    Args:
        scene: what to describe.
        rng: generator or seed that chooses among the ways to say it.
    """
    rng = np.random.default_rng(rng)
    counts = Counter(t.name for t in mentioned(scene))
    parts = []
    for thing in mentioned(scene):
        count = counts.pop(thing.name, 0)
        if count == 1:
            parts.append(article(describe(thing, rng)))
        elif count > 1:
            parts.append(f"{_NUMBERS.get(count, 'many')} {plural(thing.name)}")
    rng.shuffle(parts)
    where = _where(scene, rng)
    opening = _OPENINGS[rng.integers(len(_OPENINGS))]
    if not parts:
        return opening + where
    things = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    joint = " " if where.startswith(("on ", "in ")) else ", "
    return f"{opening}{things}{joint}{where}"


def _where(scene: Scene, rng: np.random.Generator) -> str:
    first, second = scene.stuff
    if scene.layout == "single":
        return first
    if scene.layout == "split":
        return f"{first} beside {second}" if rng.random() < 0.5 else f"{second} beside {first}"
    choice = rng.integers(3)
    if choice == 0 and scene.things:
        return f"on {second} in front of {first}"
    return f"{first} above {second}" if choice == 1 else f"{second} and {first}"
