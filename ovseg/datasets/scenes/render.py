"""Draw one procedural scene: an image with pixel-exact ground truth, from nothing but a seed.

A seed is a scene: at another size it is the same scene with more or fewer pixels. A zoom shows
things and textures larger, as a camera that has come nearer would.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ovseg.datasets.scenes import textures
from ovseg.datasets.scenes.classes import (
    BACKDROPS,
    CLASSES,
    COLORS,
    GROUNDS,
    PATTERNS,
    STUFF,
    THINGS,
    TYPICAL_COLOR,
    VOID,
)
from ovseg.datasets.scenes.drawings import (
    ACCENT,
    BLACK,
    CARROT,
    DARK,
    LEAF,
    LIGHT,
    MAIN,
    WHITE,
    WOOD,
    drawings,
)
from ovseg.datasets.scenes.held_out import (
    COMBINATIONS,
    HELD_OUT,
    NEW_THINGS,
    UNSEEN_CLASSES,
    combination_name,
)

#: Radius of a thing as a share of the short side of an unzoomed scene.
RADIUS = (0.11, 0.21)
#: How often a thing has its typical color.
TYPICAL = 0.75
#: How often something lies there that has no name: its pixels are void.
CLUTTER = 0.2
#: Things are drawn from what is known, or from what training never showed.
WORLDS = {"seen": CLASSES, "unseen": UNSEEN_CLASSES}
_SHIFT = 4  # cv2 polygon coordinates carry this many fractional bits


@dataclass(frozen=True)
class Thing:
    """One drawn thing. ``area`` counts its pixels that nothing covers."""

    instance: int
    name: str
    color: str
    pattern: str
    area: int


@dataclass(frozen=True)
class Scene:
    """A rendered scene.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        semantic: (H, W) uint8, indices into the classes of its world, `VOID` on clutter.
        instances: (H, W) int32, 0 on stuff, else the `Thing.instance` it shows.
        things: the things with at least one visible pixel, back to front.
        stuff: names of the regions: (backdrop, ground), or one name twice.
        layout: "horizon", "split" or "single".
        world: "seen" or "unseen".
    """

    image: np.ndarray
    semantic: np.ndarray
    instances: np.ndarray
    things: tuple[Thing, ...]
    stuff: tuple[str, str]
    layout: str
    world: str = "seen"

    def panoptic(self) -> tuple[np.ndarray, list[dict]]:
        """Panoptic truth: (H, W) int32 segment ids and one record per segment.

        Stuff regions have the id ``1 + class index``; things follow after all stuff ids; 0 is void
        and no segment.
        """
        ids = np.where(
            self.instances > 0, self.instances + len(STUFF), self.semantic.astype(np.int32) + 1
        ).astype(np.int32)
        ids[self.semantic == VOID] = 0
        segments = []
        for segment, area in zip(*np.unique(ids, return_counts=True), strict=True):
            if segment == 0:
                continue
            category = int(self.semantic[ids == segment][0])
            segments.append(
                {
                    "id": int(segment),
                    "category_id": category,
                    "isthing": category >= len(STUFF),
                    "area": int(area),
                }
            )
        return ids, segments


def render(
    seed: int | tuple[int, ...],
    size: int | tuple[int, int] = 128,
    *,
    zoom: float = 1.0,
    num_things: tuple[int, int] = (1, 4),
    exclude: frozenset[tuple[str, str, str]] = HELD_OUT,
    world: str = "seen",
    like: Scene | None = None,
) -> Scene:
    """Render the scene of a seed.

    Args:
        seed: anything `numpy.random.SeedSequence` takes; the same seed is the same scene.
        size: side, or (H, W), in pixels.
        zoom: at 1 a thing's radius is 0.11 to 0.21 of the short side.
        num_things: least and greatest number of things.
        exclude: (color, pattern, thing) triples of the seen world that are never drawn.
        world: "seen", or "unseen" for scenes of combinations and things that were held out.
        like: a scene of the same world whose stuff and visible things are drawn again at another
            moment: elsewhere, turned, in another light. ``num_things`` does not count then.

    Raises:
        ValueError: if a side is smaller than 8 pixels, zoom is not positive, or there is no such
            world.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 8 or zoom <= 0:
        raise ValueError(
            f"a scene needs sides of at least 8 pixels and a positive zoom, "
            f"got {height} x {width} at zoom {zoom}"
        )
    if world not in WORLDS:
        raise ValueError(f"there is no world {world!r}: choose one of {', '.join(WORLDS)}")
    layout_seed, finish_seed, clutter_seed = np.random.SeedSequence(seed).spawn(3)
    rng = np.random.default_rng(layout_seed)
    image, semantic, stuff, layout = _draw_stuff(rng, (height, width), zoom, like)
    _draw_clutter(np.random.default_rng(clutter_seed), image, semantic, zoom)
    instances = np.zeros((height, width), np.int32)

    drawn = []
    places: list[tuple[float, float, float]] = []
    if like is not None:
        num_things = (len(like.things),) * 2
    count = int(rng.integers(num_things[0], num_things[1] + 1))
    for instance in range(1, count + 1):
        present = [d[0] for d in drawn]
        if like is not None:
            thing = like.things[instance - 1]
            name, color, pattern = thing.name, thing.color, thing.pattern
        elif world == "seen":
            name, color, pattern = _choose(rng, present, exclude)
        else:
            name, color, pattern = _choose_unseen(rng, present)
        label = _label(name, color, pattern, world)
        drawn.append((name, color, pattern))
        place = _place(rng, (height, width), zoom, places)
        places.append(place)
        mask, (top, left) = _draw_thing(rng, image, name, color, pattern, place)
        window = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
        semantic[window][mask] = label
        instances[window][mask] = instance
    visible = np.bincount(instances.ravel(), minlength=len(drawn) + 1)
    things = tuple(
        Thing(i, *drawn[i - 1], area=int(visible[i]))
        for i in range(1, len(drawn) + 1)
        if visible[i] > 0
    )
    image = _finish(rng, np.random.default_rng(finish_seed), image)
    return Scene(image, semantic, instances, things, stuff, layout, world)


def _label(name, color, pattern, world):
    """The class of a thing in its world."""
    if world == "seen":
        return CLASSES.index(name)
    known = name not in NEW_THINGS
    return UNSEEN_CLASSES.index(combination_name(color, pattern, name) if known else name)


def _draw_stuff(rng, size, zoom, like):
    """One or two textured regions: a wavy horizon, a slanted split, or a single texture."""
    height, width = size
    short = min(size)
    backdrop, ground = BACKDROPS[rng.integers(len(BACKDROPS))], GROUNDS[rng.integers(len(GROUNDS))]
    first, second = (STUFF[i] for i in rng.choice(len(STUFF), 2, replace=False))
    kind = rng.random()
    if like is not None:
        backdrop, ground = first, second = like.stuff
        kind = {"horizon": 0.0, "split": 0.8, "single": 1.0}[like.layout]
    level, slope = rng.uniform(0.3, 0.68), rng.uniform(-0.12, 0.12)
    swing, waves, phase = rng.uniform(0, 0.035), rng.uniform(0.5, 2), rng.uniform(0, 6.28)
    angle, offset = rng.uniform(0, 6.28), rng.uniform(-0.2, 0.2)
    y = (np.arange(height, dtype=np.float32) + 0.5)[:, None]
    x = (np.arange(width, dtype=np.float32) + 0.5)[None]
    if kind < 0.72:
        layout = "horizon"
        edge = level * height + slope * (x - width / 2)
        edge = edge + swing * short * np.sin(x / width * 6.28 * waves + phase)
        upper = y < edge
    elif kind < 0.9:
        layout, backdrop, ground = "split", first, second
        along = np.array([np.cos(angle), np.sin(angle)])  # not scalars: NumPy 1 would round them
        upper = along[:1] * (x - width / 2) + along[1:] * (y - height / 2) > offset * short
    else:
        layout, backdrop, ground = "single", first, first
        upper = np.ones((height, width), bool)
    piece, light = textures.crop(rng, backdrop, size, zoom)
    image = piece * light
    semantic = np.full(size, CLASSES.index(backdrop), np.uint8)
    if ground != backdrop:
        lower = ~np.broadcast_to(upper, size)
        piece, light = textures.crop(rng, ground, size, zoom)
        image[lower] = piece[lower] * light
        semantic[lower] = CLASSES.index(ground)
    return image, semantic, (backdrop, ground), layout


def _choose(rng, present, exclude):
    """A thing's class, color and pattern; mostly a class not in the scene yet."""
    while True:
        name = THINGS[rng.integers(len(THINGS))]
        if name in present and rng.random() < 0.85:
            continue
        typical = rng.random() < TYPICAL
        color = TYPICAL_COLOR[name] if typical else list(COLORS)[rng.integers(len(COLORS))]
        pattern = PATTERNS[int(rng.choice(len(PATTERNS), p=(0.7, 0.15, 0.15)))]
        if (color, pattern, name) not in exclude:
            return name, color, pattern


def _choose_unseen(rng, present):
    """A held-out combination or a new thing, in a look of its own; each about as often."""
    while True:
        if rng.random() < 0.5:
            color, pattern, name = COMBINATIONS[rng.integers(len(COMBINATIONS))]
        else:
            name = tuple(NEW_THINGS)[rng.integers(len(NEW_THINGS))]
            typical = rng.random() < TYPICAL
            color = NEW_THINGS[name] if typical else list(COLORS)[rng.integers(len(COLORS))]
            pattern = PATTERNS[int(rng.choice(len(PATTERNS), p=(0.7, 0.15, 0.15)))]
        if name not in present or rng.random() < 0.15:
            return name, color, pattern


def _draw_clutter(rng, image, semantic, zoom):
    """Sometimes a nameless lump of rubble on the ground: its pixels belong to no class."""
    if rng.random() >= CLUTTER:
        return
    height, width = semantic.shape
    radius = rng.uniform(0.06, 0.14) * zoom * min(height, width)
    center = rng.uniform(0.1, 0.9, 2) * (width, height)
    angles = np.sort(rng.uniform(0, 6.28, 11))
    reach = radius * rng.uniform(0.55, 1.1, 11)
    corners = center + np.stack([reach * np.cos(angles), reach * np.sin(angles)], axis=1)
    corners = np.round(corners * (1 << _SHIFT)).astype(np.int32)
    mask = np.zeros_like(semantic)
    cv2.fillPoly(mask, [corners], 1, cv2.LINE_8, _SHIFT)
    inside = mask > 0
    tone = rng.uniform(60, 170) + rng.normal(0, 12, 3)
    image[inside] = np.clip(tone + 22 * rng.standard_normal((inside.sum(), 1)), 0, 255)
    semantic[inside] = VOID


def _place(rng, size, zoom, places):
    """Center x, y and radius in pixels; overlaps are allowed but mostly avoided."""
    height, width = size
    short = min(size)
    radius = rng.uniform(*RADIUS) * zoom * short
    margin = np.minimum(0.6 * radius, 0.35 * np.array([width, height]))
    for _ in range(12):
        x, y = margin + rng.random(2) * (np.array([width, height]) - 2 * margin)
        if all(np.hypot(x - px, y - py) > 0.8 * (radius + pr) for px, py, pr in places):
            break
    return x, y, radius


def _palette(rng, color):
    main = np.array(COLORS[color], float) * rng.uniform(0.85, 1.1) + rng.normal(0, 10, 3)
    wood = ((110, 75, 45), (120, 120, 125))[rng.integers(2)]
    accent = list(COLORS.values())[rng.integers(8)]
    paints = {
        MAIN: main,
        DARK: main * 0.68,
        LIGHT: main * 0.55 + 115,
        WOOD: wood,
        WHITE: (238, 238, 235),
        BLACK: (35, 35, 40),
        ACCENT: accent,
        LEAF: (60, 140, 50),
        CARROT: (240, 140, 40),
    }
    mixed = np.clip(np.array(list(paints.values()), float), 0, 255).tolist()
    return dict(zip(paints, mixed, strict=True))


def _draw_thing(rng, image, name, color, pattern, place):
    """Draw one thing into the image; returns its mask in a window and the window's corner."""
    x, y, radius = place
    height, width = image.shape[:2]
    paints = _palette(rng, color)
    angle = np.deg2rad(rng.uniform(-14, 14))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    aspect = rng.uniform(0.85, 1.15)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    pose = turn @ np.diag([flip * radius * aspect, radius / aspect])

    reach = radius * 1.45
    left, right = max(0, int(x - reach)), min(width, int(x + reach) + 2)
    top, bottom = max(0, int(y - reach)), min(height, int(y + reach) + 2)
    layer = image[top:bottom, left:right].copy()
    mask = np.zeros(layer.shape[:2], np.uint8)
    for points, paint in drawings()[name]:
        corners = np.round((points @ pose.T + (x - left, y - top)) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(layer, [corners], paints[paint], cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_8, _SHIFT)
    inside = mask > 0
    shade = _surface(rng, layer.shape[:2], (x - left, y - top, radius), pattern)
    image[top:bottom, left:right][inside] = np.clip(layer[inside] * shade[inside][:, None], 0, 255)
    return inside, (top, left)


def _surface(rng, shape, place, pattern):
    """Relative brightness over a thing: mottling, its pattern, and light from above."""
    x, y, radius = place
    noise = textures.surface_noise(int(rng.integers(4)))
    corner = (rng.random(2) * (textures.SIDE - 128)).astype(int)
    mottle = cv2.resize(
        noise[corner[0] : corner[0] + 128, corner[1] : corner[1] + 128], shape[::-1]
    )
    shade = 1 + (mottle - 0.5) * rng.uniform(0.2, 0.9)
    direction, period, depth = rng.uniform(0, 6.28), rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.45)
    # Double precision, said aloud: the type of float32 with a NumPy scalar depends on its version.
    v = (np.arange(shape[0], dtype=np.float64)[:, None] - y) / radius
    u = (np.arange(shape[1], dtype=np.float64)[None] - x) / radius
    if pattern == "striped":
        wave = np.sin((np.cos(direction) * u + np.sin(direction) * v) / period * 6.28)
        shade = shade * (1 + depth * np.sign(wave))
    elif pattern == "spotted":
        spots = np.sin(u / period * 6.28 + direction) * np.sin(v / period * 6.28 + direction)
        shade = shade * (1 + np.where(spots > 0.3, depth * 1.4, -depth * 0.3))
    return shade * (1 + rng.uniform(0, 1) * np.clip(0.15 - 0.17 * (v + 1), -0.25, 0.15))


def _finish(rng, pixel_rng, image):
    """Lighting, blur and sensor noise over the whole picture."""
    blur, sigma = rng.random() < 0.35, rng.uniform(0.003, 0.008)
    gain = rng.uniform(0.75, 1.2) * rng.uniform(0.93, 1.07, 3)
    lift, noise = rng.uniform(-15, 15), rng.uniform(0, 9)
    falloff, side = rng.uniform(0, 0.2), rng.uniform(0, 6.28)
    if blur:
        image = cv2.GaussianBlur(image, (0, 0), max(sigma * min(image.shape[:2]), 0.3))
    y = np.linspace(-1, 1, image.shape[0], dtype=np.float32)[:, None, None]
    x = np.linspace(-1, 1, image.shape[1], dtype=np.float32)[None, :, None]
    slant = 1 + np.float32(falloff) * (np.float32(np.cos(side)) * x + np.float32(np.sin(side)) * y)
    image = image * slant * gain.astype(np.float32) + np.float32(lift)
    image += pixel_rng.standard_normal(image.shape, dtype=np.float32) * np.float32(noise)
    return np.clip(image, 0, 255).astype(np.uint8)
