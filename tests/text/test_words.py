from __future__ import annotations

import pytest

from ovseg.errors import VocabularyError
from ovseg.text.words import words_of


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("cat", ("cat",)),
        ("  traffic \t light ", ("traffic light",)),
        ("sofa; couch;settee", ("sofa", "couch", "settee")),
        ("sofa;; couch ;", ("sofa", "couch")),
        (["sofa", "couch; settee"], ("sofa", "couch", "settee")),
        (("Cat", "cat", "CAT"), ("Cat",)),
        ("building, edifice", ("building, edifice",)),
        ("{}", ("{}",)),
        ("cafe\u0301", ("caf\u00e9",)),
        ("猫; собака; 🐈", ("猫", "собака", "🐈")),
        ("\u0645\u06cc\u200c\u062e\u0648", ("\u0645\u06cc\u200c\u062e\u0648",)),
    ],
)
def test_words(entry, expected):
    assert words_of(entry, "entry 1") == expected


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("", "entry 3 is empty"),
        ("  \n ", "entry 3 is empty"),
        (" ; ; ", "entry 3 is empty"),
        ([], "entry 3 is empty"),
        (["", " "], "entry 3 is empty"),
        ("\u200b\u200d", "entry 3 is empty"),
        (7, "entry 3 is 7 of type int"),
        (None, "entry 3 is None of type NoneType"),
        (b"cat", "of type bytes"),
        (["cat", 4.5], "entry 3 holds 4.5 of type float"),
        ({"cat": "kitten"}, "of type dict"),
        ("ca\x00t", "no name can hold"),
        ("\ud800", "no name can hold"),
    ],
)
def test_bad_words_are_refused_by_place(entry, message):
    with pytest.raises(VocabularyError, match=message):
        words_of(entry, "entry 3")
