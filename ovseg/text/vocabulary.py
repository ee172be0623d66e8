"""The vocabulary: the classes of a segmentation, and the words each is asked for by."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Union

import numpy as np

from ovseg.errors import VocabularyError
from ovseg.text.builtin import builtin_list, is_builtin
from ovseg.text.files import read_vocabulary_file
from ovseg.text.things import guess_things
from ovseg.text.words import shown, words_of

BACKGROUND = "background"

VocabularySpec = Union["Vocabulary", str, os.PathLike, Mapping, Iterable]
"""Everything ``Vocabulary.load`` accepts."""


@dataclass(frozen=True)
class Vocabulary:
    """Classes in label order, each with the words (queries) it is asked for by.

    Vocabularies are values: compared, hashed and shared freely, never changed. Build them with
    ``load`` or one of the ``from_`` methods, which check and clean what a user gives; the
    constructor checks only that the parts fit together.

    Attributes:
        classes: Display names, one for each label index.
        words: For each class its queries, at least one.
        background: 0 where class 0 is the background, else None.
        name: Where the vocabulary comes from (``"voc-21/sclip"``, a file's name), if anywhere.
        is_thing: For each class whether it is countable, or None where nobody said so; `things`
            always has an answer.
    """

    classes: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]
    background: int | None = None
    name: str | None = None
    is_thing: tuple[bool, ...] | None = None

    def __post_init__(self) -> None:
        if not self.classes:
            raise VocabularyError("the list of classes is empty: give at least one class name")
        if len(self.words) != len(self.classes) or not all(self.words):
            raise VocabularyError(
                f"{len(self.classes)} classes were given words for {len(self.words)}: every class "
                f"needs a tuple of at least one word"
            )
        if self.is_thing is not None and len(self.is_thing) != len(self.classes):
            raise VocabularyError(
                f"is_thing tells of {len(self.is_thing)} classes, but there are {len(self)}"
            )
        if self.background not in (None, 0):
            raise VocabularyError(
                f"the background is class 0 or none, but was given as {shown(self.background)}"
            )

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def queries(self) -> tuple[str, ...]:
        """All words of all classes in class order, Q of them; repeated words are kept."""
        return tuple(word for words in self.words for word in words)

    @cached_property
    def query_to_class(self) -> np.ndarray:
        """Index of the class each query belongs to: (Q,) int64, ascending, read-only."""
        counts = [len(words) for words in self.words]
        indices = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
        indices.flags.writeable = False
        return indices

    @cached_property
    def things(self) -> np.ndarray:
        """Whether each class is a thing, whose instances are told apart: (C,) bool, read-only.

        False for stuff (sky, grass) and the background. Taken from ``is_thing``; where that is
        None, a class is stuff if the built-in lists know one of its words as stuff (and none of
        them as a thing), else a thing.
        """
        if self.is_thing is not None:
            things = np.array(self.is_thing, dtype=bool)
        else:
            things = guess_things(self.classes, self.words, self.background)
        things.flags.writeable = False
        return things

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of classes, words and background: equal wherever the words are equal."""
        content = json.dumps([self.classes, self.words, self.background], ensure_ascii=True)
        return hashlib.sha256(content.encode("ascii")).hexdigest()

    @classmethod
    def load(
        cls,
        spec: VocabularySpec,
        *,
        stuff: Iterable[str] | str | None = None,
        things: Iterable[str] | str | None = None,
    ) -> Vocabulary:
        """Make a vocabulary of whatever a user has.

        Args:
            spec: A vocabulary (returned as it is), a list of names (``from_names``), a dict
                (``from_dict``), the name of a built-in list (``builtin``; see
                ``list_vocabularies``), or the path of a ``.txt`` or ``.json`` file (``from_file``).
            stuff: Classes that are stuff, as in ``with_things``.
            things: Classes that are things, as in ``with_things``.

        Raises:
            VocabularyError: The names cannot be used; the message says which and why.
        """
        if stuff is not None or things is not None:
            return cls.load(spec).with_things(things, stuff=stuff)
        if isinstance(spec, Vocabulary):
            return spec
        if isinstance(spec, os.PathLike):
            return cls.from_file(spec)
        if isinstance(spec, str):
            if is_builtin(spec) or not _looks_like_path(spec):
                return cls.builtin(spec)
            return cls.from_file(spec)
        if isinstance(spec, Mapping):
            return cls.from_dict(spec)
        if isinstance(spec, Iterable) and not isinstance(spec, bytes | bytearray):
            return cls.from_names(spec)
        raise VocabularyError(
            f"a vocabulary cannot be made of {shown(spec)} of type {type(spec).__name__}: give a "
            f"list or dict of class names, a file, or the name of a built-in list"
        )

    @classmethod
    def builtin(cls, name: str) -> Vocabulary:
        """Load a benchmark's list: ``"voc-21"``, or ``"voc-21/sclip"`` as a protocol spells it.

        The words of a protocol are kept as published, repeated ones included.

        Raises:
            VocabularyError: There is no such list; close names are suggested.
        """
        found = builtin_list(name)
        classes = tuple(words[0] for words in found.words)
        if found.background:
            classes = (BACKGROUND, *classes[1:])
        background = 0 if found.background else None
        return cls(classes, found.words, background, found.name, found.is_thing)

    @classmethod
    def from_names(cls, names: Iterable[object], name: str | None = None) -> Vocabulary:
        """Make a vocabulary of class names in label order.

        Args:
            names: One entry a class: a string, with synonyms after ``;`` if there are any
                (``"sofa; couch"``), or a list of synonyms. The first word is displayed. A first
                class called "background" is the background.
            name: What the vocabulary is called in messages and records.

        Raises:
            VocabularyError: No names, an empty name, a word in two classes, "background" not
                first, or entries that are not text.
        """
        if isinstance(names, AbstractSet):
            raise VocabularyError(
                "a set of class names has no order, so labels could not be told apart: give a list"
            )
        source = f" of {name}" if name else ""
        words = tuple(words_of(x, f"entry {i}{source}") for i, x in enumerate(names, start=1))
        return cls._checked(tuple(w[0] for w in words), words, name)

    @classmethod
    def from_dict(cls, classes: Mapping[object, object], name: str | None = None) -> Vocabulary:
        """Make a vocabulary of ``{class: synonyms}``.

        Args:
            classes: The key is displayed and is a query itself; the value adds synonyms to it (a
                string, a list, or an empty list for none). Only of "background", which has to be
                first, the words stand alone: ``{"background": ["sky", "wall"], "cat": "kitten"}``.
            name: What the vocabulary is called in messages and records.

        Raises:
            VocabularyError: As ``from_names``.
        """
        source = f" of {name}" if name else ""
        displayed, all_words = [], []
        for key, synonyms in classes.items():
            where = f"the class {shown(key)}{source}"
            if not isinstance(key, str):
                raise VocabularyError(f"{where} is of type {type(key).__name__}, not a string")
            words = words_of(key, where)
            displayed.append(words[0])
            if synonyms != [] and synonyms != ():
                added = words_of(synonyms, f"the list of synonyms of {where}")
                alone = words[0].casefold() == BACKGROUND
                words = added if alone else words_of((*words, *added), where)
            all_words.append(words)
        return cls._checked(tuple(displayed), tuple(all_words), name)

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> Vocabulary:
        """Read a vocabulary from a file in UTF-8.

        Args:
            path: ``.txt``: one class a line, synonyms separated by ``;``, the first displayed;
                blank lines and lines starting with ``#`` are skipped. ``.json``: a list as in
                ``from_names``, an object as in ``from_dict``, or an object
                ``{"classes": list or object, "background": words}``.

        Raises:
            VocabularyError: The file cannot be read or decoded, or its names cannot be used.
        """
        content, background, name = read_vocabulary_file(path)
        make = cls.from_dict if isinstance(content, Mapping) else cls.from_names
        vocabulary = make(content, name=name)
        return vocabulary if background is None else vocabulary.with_background(background)

    def with_background(self, words: object = BACKGROUND) -> Vocabulary:
        """Put a class "background" at index 0, in the place of the one there if there is one.

        Args:
            words: What the background is asked for by: a string (``"sky; wall"``) or a list.

        Returns:
            A new vocabulary, one class longer if there was no background; every other class
            moves up by one then.

        Raises:
            VocabularyError: The words are empty, or one of them belongs to another class.
        """
        start = 0 if self.background is None else 1
        own = words_of(words, "the list of background words")
        _refuse_shared((BACKGROUND, *self.classes[start:]), (own, *self.words[start:]), only=0)
        is_thing = None if self.is_thing is None else (False, *self.is_thing[start:])
        return replace(
            self,
            classes=(BACKGROUND, *self.classes[start:]),
            words=(own, *self.words[start:]),
            background=0,
            is_thing=is_thing,
        )

    def with_things(
        self,
        things: Iterable[str] | str | None = None,
        *,
        stuff: Iterable[str] | str | None = None,
    ) -> Vocabulary:
        """Say which classes are things and which are stuff.

        Classes that neither names stay what they are.

        Args:
            things: Names (display names or synonyms; ``;`` separates them in one string).
            stuff: Names of the classes whose instances are not told apart.

        Returns:
            A new vocabulary with ``is_thing`` set. The background is always stuff.

        Raises:
            VocabularyError: A name is no class, or stands in both lists.
        """
        if things is None and stuff is None:
            return self
        flags = self.things.copy()
        counted, regions = self._indices(things, "things"), self._indices(stuff, "stuff")
        if both := counted & regions:
            raise VocabularyError(
                f"{shown(self.classes[min(both)])} is given both as a thing and as stuff: keep it "
                f"in one of the lists"
            )
        flags[list(counted)] = True
        flags[list(regions)] = False
        if self.background is not None:
            flags[self.background] = False
        return replace(self, is_thing=tuple(flags.tolist()))

    def _indices(self, names: Iterable[str] | str | None, kind: str) -> set[int]:
        """Classes that are called, or asked for, by one of these names."""
        if names is None:
            return set()
        if isinstance(names, str):
            names = (names,)
        owners: dict[str, set[int]] = {}
        for index, words in enumerate(self.words):
            for word in words:
                owners.setdefault(word.casefold(), set()).add(index)
        for index, name in enumerate(self.classes):  # a display name means its own class only
            owners[name.casefold()] = {index}
        found: set[int] = set()
        for name in names:
            for word in words_of(name, f"an entry of {kind}"):
                if word.casefold() not in owners:
                    raise VocabularyError(
                        f"{shown(word)} is given as {kind} but is none of the classes: name "
                        f"classes of this vocabulary"
                    )
                found |= owners[word.casefold()]
        return found

    @classmethod
    def _checked(
        cls, classes: tuple[str, ...], words: tuple[tuple[str, ...], ...], name: str | None
    ) -> Vocabulary:
        places = [i for i, display in enumerate(classes) if display.casefold() == BACKGROUND]
        _refuse_shared(classes, words)
        if places and places[0] != 0:
            raise VocabularyError(
                f'the class "background" stands at place {places[0] + 1}, but its label is 0: '
                f"put it first, or leave it out and give background words"
            )
        return cls(classes, words, 0 if places else None, name)


def _refuse_shared(
    classes: tuple[str, ...], words: tuple[tuple[str, ...], ...], only: int | None = None
) -> None:
    """Refuse a word that belongs to two classes (of which one is ``only``, where given)."""
    owner: dict[str, int] = {}
    clashes: list[str] = []
    for index, of_class in enumerate(words):
        for word in (classes[index], *of_class):
            first = owner.setdefault(word.casefold(), index)
            if first == index or (only is not None and first != only):
                continue
            places = f"{first + 1} and {index + 1}"
            if classes[first].casefold() == classes[index].casefold():
                clash = f'"{classes[index]}" (classes {places})'
            else:
                clash = f'"{word}" ("{classes[first]}" and "{classes[index]}", classes {places})'
            if clash not in clashes[-1:]:
                clashes.append(clash)
    if clashes:
        more = f" and {len(clashes) - 5} more" if len(clashes) > 5 else ""
        raise VocabularyError(
            f"the same name belongs to two classes: {', '.join(clashes[:5])}{more}; "
            f"keep it in one of them"
        )


def _looks_like_path(spec: str) -> bool:
    return spec.lower().endswith((".txt", ".json")) or os.path.exists(spec)
