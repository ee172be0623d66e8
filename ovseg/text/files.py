"""Vocabulary files: plain text and JSON, read with errors that name the file and the remedy."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ovseg.errors import VocabularyError

_KEYS = {"classes", "background"}


def read_vocabulary_file(path: str | os.PathLike) -> tuple[list | dict, object, str]:
    """Read the entries of a ``.txt`` or ``.json`` file; they are not checked yet.

    Args:
        path: The file, in UTF-8 with or without a byte order mark.

    Returns:
        The classes (list of entries, or dict of class to synonyms), the background words or None,
        and the file's name.

    Raises:
        VocabularyError: The file is missing, unreadable, not UTF-8, or not of a known kind.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (".txt", ".json"):
        raise VocabularyError(
            f"{path} is neither .txt nor .json: write one class a line into a .txt file"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise VocabularyError(
            f"{path} is not UTF-8 text (byte {error.start}): save it with the encoding UTF-8"
        ) from error
    except FileNotFoundError as error:
        raise VocabularyError(
            f"there is no vocabulary file {path}: check the path, or name a built-in list"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VocabularyError(f"the vocabulary file {path} cannot be read: {reason}") from error
    if kind == ".txt":
        lines = (line.strip() for line in text.split("\n"))
        content, background = [line for line in lines if line and not line.startswith("#")], None
    else:
        content, background = _from_json(text, path)
    if not content:
        raise VocabularyError(f"{path} names no classes: write at least one class name into it")
    return content, background, path.name


def _from_json(text: str, path: Path) -> tuple[list | dict, object]:
    def unique(pairs: list[tuple[str, object]]) -> dict:
        content = dict(pairs)
        if len(content) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise VocabularyError(f'{path} gives "{twice}" twice: keep one of the two')
        return content

    try:
        content = json.loads(text, object_pairs_hook=unique)
    except (json.JSONDecodeError, RecursionError) as error:
        at = f" (line {error.lineno}: {error.msg})" if hasattr(error, "lineno") else ""
        raise VocabularyError(f"{path} is not valid JSON{at}: correct it there") from error
    background = None
    if isinstance(content, dict) and "classes" in content and set(content) <= _KEYS:
        background = content.get("background")
        content = content["classes"]
    if not isinstance(content, list | dict):
        raise VocabularyError(
            f"{path} holds a {type(content).__name__} where the classes should be: give a list "
            f"of names, or an object of names and synonyms"
        )
    return content, background
