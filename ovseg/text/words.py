"""What a class name may look like: the words of one entry, cleaned and checked."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from ovseg.errors import VocabularyError

SEPARATOR = ";"
"""Stands between the synonyms of one class wherever they are given as one string."""

_SHOWN = 60


def words_of(entry: object, where: str) -> tuple[str, ...]:
    """Read one class entry: a string (synonyms separated by ``;``) or a sequence of such strings.

    Blanks are trimmed and collapsed, Unicode is normalized (NFC), empty pieces between separators
    are dropped, and a word repeated within the entry (upper and lower case are one) is kept once.

    Args:
        entry: What the user gave for one class.
        where: How an error names the entry, as in ``"entry 3 of names.txt"``.

    Returns:
        At least one word, the first being the display name.

    Raises:
        VocabularyError: The entry is of another type, holds no visible word, or holds characters
            that cannot stand in a name (control characters, lone surrogates).
    """
    if isinstance(entry, str):
        strings: Sequence[object] = (entry,)
    elif isinstance(entry, Sequence) and not isinstance(entry, bytes | bytearray):
        strings = entry
    else:
        raise VocabularyError(
            f"{where} is {shown(entry)} of type {type(entry).__name__}, but a class is a string "
            f"or a list of synonyms"
        )
    words: dict[str, str] = {}
    for string in strings:
        if not isinstance(string, str):
            raise VocabularyError(
                f"{where} holds {shown(string)} of type {type(string).__name__}, but every "
                f"synonym must be a string"
            )
        for piece in string.split(SEPARATOR):
            word = _clean(piece, where)
            if word:
                words.setdefault(word.casefold(), word)
    if not words:
        raise VocabularyError(f"{where} is empty: give the class a name or take the entry out")
    return tuple(words.values())


def shown(value: object) -> str:
    """Quote a value of the user's for an error message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _clean(piece: str, where: str) -> str:
    word = " ".join(piece.split())
    if word.isascii() and word.isprintable():
        return word
    word = unicodedata.normalize("NFC", word)
    categories = {unicodedata.category(character) for character in word}
    if categories & {"Cc", "Cs"}:
        raise VocabularyError(
            f"{where} holds characters that no name can hold ({shown(word)}): is it really text?"
        )
    # Format characters (joiners, direction marks) belong to some scripts, but make no name alone.
    return word if any(category[0] not in "CZ" for category in categories) else ""
