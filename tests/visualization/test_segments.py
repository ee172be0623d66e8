"""Segments are told apart in pictures, and counted beside them."""

from __future__ import annotations

import numpy as np
import pytest

from ovseg.visualization import draw_segments
from ovseg.visualization import segments as module

MAP = np.full((30, 50), -1)
MAP[5:20, 5:20], MAP[5:20, 20:40], MAP[22:] = 0, 1, 2
CLASSES = ("a very long name of a thing that no legend has room for, not even a wide one", "grass")


def draw(**changes):
    made = dict(
        image=None, segments=MAP, class_of=[0, 0, 1], counted=[True, True, False], classes=CLASSES
    )
    return draw_segments(**{**made, **changes})


def test_shades_belong_to_one_color():
    colors = np.array([[200, 40, 40], [40, 40, 200]], np.uint8)
    shades = module.segment_colors([0, 1, 0, 0, 1], colors).astype(int)
    assert (shades[0] == colors[0]).all() and (shades[1] == colors[1]).all()
    assert len({tuple(shade) for shade in shades[[0, 2, 3]].tolist()}) == 3
    assert (shades[[0, 2, 3], 0] > shades[[0, 2, 3], 2]).all()  # all of them reddish
    assert module.segment_colors([], colors).shape == (0, 3)


def test_the_legend_counts_things(monkeypatch):
    listed = []

    def spy(picture, entries, max_legend, room_for=()):
        listed.append((entries, room_for))
        return picture

    monkeypatch.setattr(module, "add_legend", spy)
    draw()
    draw(steady=True)
    (entries, _), (steady, room) = listed
    assert [entry.name for entry in entries] == [f"2 x {CLASSES[0]}", "grass"]
    assert entries[0].share == pytest.approx(35 * 15 / MAP.size)
    assert [entry.name for entry in steady] == [f"2 x {CLASSES[0]}", "grass"] and len(room) == 2


def test_void_stays_unpainted():
    image = np.full((30, 50, 3), 77, np.uint8)
    plain = draw(image=image, legend=False)
    assert (plain[0, 0] == 77).all() and (plain[25, 25] != 77).any()
    assert (draw(image=image, legend=False, alpha=0) == image).all()
    assert draw(image=image).shape[1] > 50


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(class_of=[0, 0], counted=[True, True]), "below 2"),
        (dict(segments=MAP[0]), r"shape \(50,\)"),
        (dict(image=np.zeros((2, 2, 3), np.uint8)), "match the segments"),
        (dict(alpha=2), "alpha"),
        (dict(colors=[[1, 2, 3]]), "2 rows"),
    ],
)
def test_mistakes(changes, message):
    with pytest.raises(ValueError, match=message):
        draw(**changes)
