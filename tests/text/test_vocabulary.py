from __future__ import annotations

import pickle

import numpy as np
import pytest

from ovseg.errors import VocabularyError
from ovseg.text import Vocabulary

PETS = Vocabulary(("cat", "dog"), (("cat", "kitten"), ("dog",)))


@pytest.mark.parametrize(
    "spec",
    [
        ["cat; kitten", "dog"],
        [("cat", "kitten"), "dog"],
        ("cat;kitten", ["dog"]),
        {"cat": "kitten", "dog": []},
        {"cat": ["kitten", "cat"], "dog": ()},
        {"cat; kitten": "Kitten", "dog": "dog"},
        (name for name in ("cat;kitten", "dog")),
        np.array(["cat;kitten", "dog"]),
        PETS,
    ],
)
def test_load_reads_what_a_user_has(spec):
    assert Vocabulary.load(spec) == PETS


def test_parts():
    vocabulary = Vocabulary.load({"background": ["sky", "wall"], "cat": "kitten", "dog": []})
    assert vocabulary.classes == ("background", "cat", "dog")
    assert vocabulary.queries == ("sky", "wall", "cat", "kitten", "dog")
    assert vocabulary.query_to_class.tolist() == [0, 0, 1, 1, 2]
    assert vocabulary.query_to_class.dtype == np.int64
    assert vocabulary.background == 0
    assert len(vocabulary) == 3


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (["background", "cat"], ("background",)),
        (["Background; sky", "cat"], ("Background", "sky")),
        ({"background": [], "cat": []}, ("background",)),
        ({"background": "sky; wall", "cat": []}, ("sky", "wall")),
    ],
)
def test_a_first_class_called_background_is_the_background(spec, words):
    vocabulary = Vocabulary.load(spec)
    assert vocabulary.background == 0
    assert vocabulary.words[0] == words


def test_a_vocabulary_is_a_value():
    again = Vocabulary.load(["cat; kitten", "dog"])
    assert again == PETS
    assert hash(again) == hash(PETS)
    assert again.digest == PETS.digest
    copied = pickle.loads(pickle.dumps(again))
    assert copied == PETS
    with pytest.raises(AttributeError):
        PETS.classes = ("x",)
    with pytest.raises(ValueError, match="read-only"):
        PETS.query_to_class[0] = 1


@pytest.mark.parametrize(
    "other",
    [
        ["kitten; cat", "dog"],
        ["cat", "kitten; dog"],
        ["dog", "cat; kitten"],
        ["cat; kitten", "dog", "cow"],
    ],
)
def test_digests_tell_vocabularies_apart(other):
    assert Vocabulary.load(other).digest != PETS.digest


def test_the_digest_is_the_same_in_every_run():
    assert PETS.digest == "0a1cbe048a4b14696f388e5b5c4ce020dda41fa1d50166f6e9bab50e83830892"
    assert Vocabulary.from_names(PETS.words, name="pets").digest == PETS.digest


def test_with_background_puts_a_class_first():
    vocabulary = PETS.with_background("sky; wall")
    assert vocabulary.classes == ("background", "cat", "dog")
    assert vocabulary.words == (("sky", "wall"), ("cat", "kitten"), ("dog",))
    assert vocabulary.background == 0
    assert PETS.with_background().words[0] == ("background",)


def test_with_background_replaces_the_background_there_is():
    replaced = Vocabulary.load("voc-21").with_background(["background"])
    assert len(replaced) == 21
    assert replaced.words[0] == ("background",)
    assert replaced.words[1:] == Vocabulary.load("voc-21").words[1:]
    assert replaced.is_thing == Vocabulary.load("voc-21").is_thing


def test_with_background_keeps_things():
    vocabulary = Vocabulary.load("voc-20").with_background("sky")
    assert vocabulary.is_thing == (False, *(True,) * 20)


def test_with_background_bears_the_repetitions_of_a_published_list():
    vocabulary = Vocabulary.load("voc-21/fcclip").with_background("sky")
    assert vocabulary.words[0] == ("sky",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "background words is empty"),
        (" ; ", "background words is empty"),
        (["sky", "Dog"], '"background" and "dog", classes 1 and 3'),
        (3, "of type int"),
    ],
)
def test_bad_background_words_are_refused(words, message):
    with pytest.raises(VocabularyError, match=message):
        PETS.with_background(words)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ([], "list of classes is empty"),
        ({}, "list of classes is empty"),
        (["cat", ""], "entry 2 is empty"),
        (["cat", None], "entry 2 is None"),
        (["cat", "dog", "cat"], r'"cat" \(classes 1 and 3\)'),
        (["cat", "Cat "], r'"Cat" \(classes 1 and 2\)'),
        (["caf\u00e9", "cafe\u0301"], r"classes 1 and 2"),
        (["cat; pet", "dog; pet"], r'"pet" \("cat" and "dog", classes 1 and 2\)'),
        ([f"n{i % 50}" for i in range(100)], "and 45 more"),
        (["cat", "background"], '"background" stands at place 2'),
        ({"cat": None}, "of type NoneType"),
        ({"cat": [""]}, "is empty"),
        ({"cat": ""}, "is empty"),
        ({"": "cat"}, "is empty"),
        ({1: "cat"}, "class 1 is of type int"),
        ({"cat": {"kitten": 1}}, "of type dict"),
        ({"cat", "dog"}, "no order"),
        (b"cat", "of type bytes"),
        (None, "of type NoneType"),
        (5, "of type int"),
    ],
)
def test_bad_lists_are_refused(spec, message):
    with pytest.raises(VocabularyError, match=message) as caught:
        Vocabulary.load(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), ()), "empty"),
        ((("cat",), ()), "1 classes were given words for 0"),
        ((("cat",), ((),)), "at least one word"),
        ((("cat",), (("cat",),), 1), "background is class 0 or none"),
        ((("cat",), (("cat",),), None, None, (True, False)), "is_thing tells of 2"),
    ],
)
def test_parts_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(VocabularyError, match=message):
        Vocabulary(*arguments)


def test_ten_thousand_names():
    vocabulary = Vocabulary.load([f"thing number {i}; object {i}" for i in range(10_000)])
    assert len(vocabulary) == 10_000
    assert vocabulary.query_to_class[-1] == 9_999
    assert len(vocabulary.queries) == 20_000
