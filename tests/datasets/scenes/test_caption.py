from __future__ import annotations

import re

import numpy as np
import pytest

from ovseg.datasets.scenes.caption import MENTIONED, article, caption, describe, mentioned, phrases
from ovseg.datasets.scenes.classes import STUFF, THINGS, plural
from ovseg.datasets.scenes.render import Scene, Thing, render


def scene_of(*things: Thing, layout: str = "horizon", stuff=("sky", "grass")) -> Scene:
    """A scene of which only the words matter."""
    nothing = np.zeros((100, 100), np.uint8)
    return Scene(np.zeros((100, 100, 3), np.uint8), nothing, nothing, things, stuff, layout)


def stuff_in(text: str) -> set[str]:
    """The stuff a text names; ``night sky`` is no ``sky``."""
    found = set()
    for name in sorted(STUFF, key=len, reverse=True):
        text, count = re.subn(rf"\b{name}\b", "", text)
        if count:
            found.add(name)
    return found


def things_in(text: str) -> set[str]:
    return {name for name in THINGS if re.search(rf"\b({name}|{plural(name)})\b", text)}


def test_captions_name_exactly_what_is_to_be_seen(many_scenes):
    for seed, scene in enumerate(many_scenes):
        text = caption(scene, seed)
        visible = {t.name for t in scene.things if t.area >= MENTIONED * scene.semantic.size}
        assert things_in(text) == visible
        assert stuff_in(text) == set(scene.stuff)


def test_small_things_go_unmentioned():
    least = int(MENTIONED * 100 * 100)
    scene = scene_of(
        Thing(1, "car", "blue", "plain", least), Thing(2, "cup", "white", "plain", least - 1)
    )
    assert [t.name for t in mentioned(scene)] == ["car"]
    assert things_in(caption(scene, 0)) == {"car"}


def test_articles_agree(many_scenes):
    texts = [caption(scene, seed) for seed, scene in enumerate(many_scenes)]
    assert not [text for text in texts if re.search(r"\b(a [aeiou]|an [^aeiou])", text)]
    assert any(" an orange fish" in f" {text}" for text in texts)


@pytest.mark.parametrize(
    ("words", "expected"), [("orange fish", "an orange fish"), ("fish", "a fish"), ("cup", "a cup")]
)
def test_article(words, expected):
    assert article(words) == expected


@pytest.mark.parametrize(
    ("name", "count", "words"),
    [
        ("butterfly", 2, "two butterflies"),
        ("fish", 3, "three fish"),
        ("cactus", 4, "four cacti"),
        ("snowman", 5, "five snowmen"),
        ("car", 6, "many cars"),
    ],
)
def test_several_of_a_kind_are_counted(name, count, words):
    scene = scene_of(*(Thing(i, name, "red", "striped", 500) for i in range(1, count + 1)))
    for seed in range(10):
        text = caption(scene, seed)
        assert words in text
        assert "red" not in text


@pytest.mark.parametrize(
    ("layout", "stuff", "expected"),
    [
        ("single", ("snow", "snow"), {"snow"}),
        ("split", ("sand", "road"), {"sand beside road", "road beside sand"}),
        ("horizon", ("sky", "grass"), {"sky above grass", "grass and sky"}),
    ],
)
def test_places_without_things(layout, stuff, expected):
    scene = scene_of(layout=layout, stuff=stuff)
    texts = {caption(scene, seed) for seed in range(80)}
    bare = {text for text in texts if not re.match(r"(an? |there )", text)}
    assert bare == expected
    assert "a photo of " + min(expected) in texts


def test_things_stand_on_the_ground():
    scene = scene_of(Thing(1, "cat", "black", "plain", 500))
    texts = {caption(scene, seed) for seed in range(80)}
    assert "a cat on grass in front of sky" in texts
    assert "a black cat, sky above grass" in texts


def test_attributes_are_true():
    words = {
        describe(Thing(1, "cup", "red", "spotted", 9), np.random.default_rng(seed))
        for seed in range(40)
    }
    assert words == {"cup", "red cup", "spotted cup", "spotted red cup"}
    plain = {
        describe(Thing(1, "cup", "red", "plain", 9), np.random.default_rng(seed))
        for seed in range(40)
    }
    assert plain == {"cup", "red cup"}


def test_phrases_are_things_then_stuff():
    scene = scene_of(Thing(1, "cup", "red", "plain", 500), layout="single", stuff=("sand", "sand"))
    found = phrases(scene, np.random.default_rng(0))
    assert found[0] in ("cup", "red cup")
    assert found[1:] == ["sand"]


def test_a_seed_says_it_the_same_way_and_others_say_it_differently():
    scene = render(11, 64)
    assert caption(scene, 5) == caption(scene, np.random.default_rng(5)) == caption(scene, 5)
    assert caption(scene, (0, 5)) == caption(scene, (0, 5))
    assert len({caption(scene, seed) for seed in range(20)}) > 5
