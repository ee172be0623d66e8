"""Things and stuff: from the lists' own flags, from words, and as the user says."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pytest

from ovseg.errors import VocabularyError
from ovseg.text import Vocabulary
from ovseg.text.things import known_stuff

SCENE = ["person", "sky", "gizmo; widget", "grass"]


@pytest.mark.parametrize(
    "name",
    ["coco-panoptic-133", "ade20k-150", "cityscapes-19", "scenes", "coco-panoptic-133/fcclip"],
)
def test_built_in_lists_have_their_own_flags(name):
    path = resources.files("ovseg.text").joinpath("names", f"{name.partition('/')[0]}.json")
    own = json.loads(path.read_text(encoding="utf-8"))["things"]
    things = Vocabulary.load(name).things
    assert things.dtype == bool and not things.flags.writeable
    assert np.flatnonzero(things).tolist() == own


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (["person", "sky", "dragon", "grass"], [True, False, True, False]),
        (["Sky", "GRASS"], [False, False]),
        (["cloudless heaven; sky"], [False]),  # known by a synonym
        (["window", "tree"], [True, True]),  # some list counts them
        (["sky-other-merged"], [False]),  # COCO's own spelling
        (["background", "cat"], [False, True]),
        (["background; bed", "cup"], [False, True]),
    ],
)
def test_words_tell_in_lists_of_the_user(spec, expected):
    assert Vocabulary.load(spec).things.tolist() == expected


def test_a_list_without_flags():
    things = Vocabulary.load("ade20k-847").things
    assert 100 < things.sum() < len(things) - 20


def test_background_words_of_the_benchmarks_are_not_stuff():
    assert not {"bed", "lamp", "window"} & known_stuff()
    assert {"sky", "grass", "sand", "snow"} <= known_stuff()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (dict(stuff=["gizmo"]), [True, False, False, False]),
        (dict(stuff="widget; Person"), [False, False, False, False]),
        (dict(stuff=[]), [True, False, True, False]),
        (dict(things=["sky", "gizmo"]), [True, True, True, False]),
        (dict(stuff=["person"], things=["grass"]), [False, False, True, True]),
    ],
)
def test_the_user_has_the_last_word(given, expected):
    vocabulary = Vocabulary.load(SCENE, **given)
    assert vocabulary.things.tolist() == expected
    assert vocabulary.classes == Vocabulary.load(SCENE).classes
    assert vocabulary.digest == Vocabulary.load(SCENE).digest  # the words are the same


def test_the_background_stays_stuff():
    vocabulary = Vocabulary.load(["cat", "dog"], stuff=[]).with_background("wall")
    assert vocabulary.things.tolist() == [False, True, True]
    assert vocabulary.with_things(["background"], stuff=["dog"]).things.tolist() == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(stuff=["lawn"]), "'lawn' is given as stuff but is none of the classes"),
        (dict(things=["sky"], stuff=["Sky"]), "'sky' is given both as a thing and as stuff"),
        (dict(things=[""]), "entry of things is empty"),
        (dict(things=[3]), "of type int"),
    ],
)
def test_mistakes(given, message):
    with pytest.raises(VocabularyError, match=message):
        Vocabulary.load(SCENE, **given)


def test_nothing_said_changes_nothing():
    vocabulary = Vocabulary.load(SCENE)
    assert vocabulary.with_things() is vocabulary and vocabulary.is_thing is None
