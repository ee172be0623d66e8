from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ovseg.datasets.scenes.classes import (
    BACKDROPS,
    CLASSES,
    COLORS,
    GROUNDS,
    PALETTE,
    STUFF,
    THINGS,
    TYPICAL_COLOR,
    VOID,
    plural,
)
from ovseg.datasets.scenes.drawings import drawings
from ovseg.datasets.scenes.held_out import NEW_THINGS
from ovseg.text import Vocabulary


def test_there_is_enough_to_see():
    assert len(STUFF) >= 10
    assert len(THINGS) >= 16
    assert len(set(CLASSES)) == len(CLASSES) < VOID
    assert STUFF == BACKDROPS + GROUNDS
    assert set(TYPICAL_COLOR.values()) <= set(COLORS)


def test_every_thing_has_a_drawing():
    assert set(drawings()) == set(THINGS) | set(NEW_THINGS)
    for parts in drawings().values():
        assert all(np.abs(points).max() <= 1.2 and len(points) >= 3 for points, _ in parts)


def test_palette_has_a_color_per_class_and_no_two_are_close():
    assert len(PALETTE) == len(CLASSES)
    assert min(np.linalg.norm(np.subtract(a, b)) for a, b in combinations(PALETTE, 2)) > 30
    assert 0 <= np.min(PALETTE) and np.max(PALETTE) <= 255


def test_the_vocabulary_is_these_classes_and_no_other_word():
    vocabulary = Vocabulary.load("scenes")
    assert vocabulary.classes == CLASSES
    assert vocabulary.queries == CLASSES
    assert vocabulary.is_thing == tuple(name in THINGS for name in CLASSES)
    assert vocabulary.background is None


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("car", "cars"),
        ("fish", "fish"),
        ("butterfly", "butterflies"),
        ("cactus", "cacti"),
        ("snowman", "snowmen"),
        ("house", "houses"),
    ],
)
def test_plural(one, many):
    assert plural(one) == many
