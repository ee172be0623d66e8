"""Which words name things that can be counted, and which name stuff such as sky and grass."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ovseg.text.builtin import builtin_list, list_vocabularies

__all__ = ["guess_things", "known_stuff"]


@lru_cache(maxsize=1)
def known_stuff() -> frozenset[str]:
    """Words (in lower case) that the built-in lists know as stuff.

    Lists disagree about words such as "window": a word that any of them counts is a thing, since
    taking things for stuff would merge what can be told apart. Background words count for nothing.
    """
    stuff: set[str] = set()
    things: set[str] = set()
    for name in list_vocabularies(variants=True):
        found = builtin_list(name)
        if found.is_thing is None:
            continue
        for index, words in enumerate(found.words):
            if found.background and index == 0:
                continue
            kind = things if found.is_thing[index] else stuff
            kind.update(word.casefold() for word in words)
    return frozenset(stuff - things)


def guess_things(
    classes: Sequence[str], words: Sequence[Sequence[str]], background: int | None
) -> np.ndarray:
    """Tell things from stuff by the words alone.

    A class is stuff where its name is known as stuff, or its name is unknown to the lists but one
    of its synonyms is; everything else is a thing, except the background.

    Args:
        classes: Display names of the C classes.
        words: For each class its queries.
        background: Index of the background, or None.

    Returns:
        (C,) bool, True for things.
    """
    stuff = known_stuff()
    return np.array(
        [
            index != background and not any(w.casefold() in stuff for w in (name, *of_class))
            for index, (name, of_class) in enumerate(zip(classes, words, strict=True))
        ],
        dtype=bool,
    )
