"""What the procedural scenes are made of: names, colors, and what color a thing usually has."""

from __future__ import annotations

#: Regions seen in the distance, in the order of their label ids.
BACKDROPS = ("sky", "night sky", "sunset", "brick wall", "curtain")
#: Regions one could stand on.
GROUNDS = ("grass", "sand", "water", "snow", "wood floor", "road", "tiles")
STUFF = BACKDROPS + GROUNDS

#: Each thing with the color most of its instances have (as trees are mostly green in the world).
TYPICAL_COLOR = {
    "tree": "green",
    "house": "brown",
    "car": "blue",
    "fish": "orange",
    "heart": "red",
    "crown": "yellow",
    "flower": "pink",
    "umbrella": "purple",
    "cat": "black",
    "snowman": "white",
    "cup": "white",
    "cactus": "green",
    "butterfly": "orange",
    "balloon": "red",
    "mushroom": "red",
    "guitar": "brown",
}
THINGS = tuple(TYPICAL_COLOR)

#: Label ids are positions in this tuple: stuff first, then things.
CLASSES = STUFF + THINGS
#: A color to paint each class with in pictures of label maps, RGB, 0 to 255; no two are close.
PALETTE = (
    (92, 178, 250),  # sky
    (24, 28, 92),
    (255, 172, 120),
    (150, 60, 45),
    (120, 90, 170),
    (124, 196, 60),  # grass
    (226, 196, 130),
    (30, 110, 214),
    (206, 232, 246),
    (160, 110, 60),
    (95, 95, 100),
    (175, 170, 160),  # tiles
    (20, 105, 45),  # tree
    (200, 130, 110),
    (20, 60, 255),
    (255, 130, 0),
    (225, 10, 45),
    (255, 220, 0),
    (255, 120, 190),
    (140, 30, 220),
    (0, 0, 0),
    (255, 255, 255),
    (0, 225, 225),
    (0, 160, 120),
    (215, 95, 250),
    (255, 75, 95),
    (165, 0, 95),
    (95, 60, 15),  # guitar
)
#: Label of pixels that belong to no class.
VOID = 255

#: RGB, 0 to 255.
COLORS = {
    "red": (205, 40, 35),
    "orange": (240, 140, 30),
    "yellow": (235, 215, 50),
    "green": (50, 160, 60),
    "blue": (45, 90, 210),
    "purple": (130, 60, 180),
    "pink": (240, 140, 180),
    "brown": (125, 80, 45),
    "white": (235, 235, 230),
    "black": (40, 40, 45),
    "gray": (135, 135, 140),
}
PATTERNS = ("plain", "striped", "spotted")

PLURALS = {
    "fish": "fish",
    "butterfly": "butterflies",
    "cactus": "cacti",
    "snowman": "snowmen",
}


def plural(name: str) -> str:
    """The plural of a thing's name, for captions such as ``two butterflies``."""
    return PLURALS.get(name, name + "s")
