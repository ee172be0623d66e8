"""The class-name lists of the benchmarks, shipped with the package (see ``names/README.md``)."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from ovseg.errors import VocabularyError
from ovseg.text.words import SEPARATOR

LISTS = (
    "ade20k-150",
    "ade20k-847",
    "cityscapes-19",
    "coco-object-81",
    "coco-panoptic-133",
    "coco-stuff-171",
    "mapillary-65",
    "pascal-context-59",
    "pascal-context-60",
    "pascal-context-459",
    "scenes",
    "scenes-unseen",
    "voc-20",
    "voc-21",
)
"""Names of the built-in lists; a number is the count of classes, background included."""

DEFAULT = "default"


@dataclass(frozen=True)
class BuiltinList:
    """One list in one spelling.

    Attributes:
        name: ``"voc-21"`` or, in a protocol's spelling, ``"voc-21/sclip"``.
        words: For each class its prompt words, in the order of the dataset's label indices.
        background: Whether class 0 is the background.
        is_thing: For each class whether it is countable, or None where the dataset does not say.
    """

    name: str
    words: tuple[tuple[str, ...], ...]
    background: bool
    is_thing: tuple[bool, ...] | None


def list_vocabularies(variants: bool = False) -> tuple[str, ...]:
    """Name the built-in vocabularies.

    Args:
        variants: Also name the spellings of published protocols (``"voc-21/trident"``).

    Returns:
        Names that ``Vocabulary.load`` understands.
    """
    if not variants:
        return LISTS
    names: list[str] = []
    for name in LISTS:
        names.append(name)
        names.extend(f"{name}/{variant}" for variant in _read(name)["variants"])
    return tuple(names)


def is_builtin(spec: str) -> bool:
    """Tell whether a string names a built-in list (its variant is not looked at)."""
    return _canonical(spec).partition("/")[0] in LISTS


@lru_cache(maxsize=64)
def builtin_list(spec: str) -> BuiltinList:
    """Read a built-in list; case and ``_`` for ``-`` do not matter in its name.

    Raises:
        VocabularyError: There is no such list or variant; close names are suggested.
    """
    name, _, variant = _canonical(spec).partition("/")
    if name not in LISTS:
        raise VocabularyError(_unknown(spec))
    content = _read(name)
    variants: dict[str, list[str] | str] = content["variants"]
    if variant in ("", DEFAULT):
        lines, full_name = content["default"], name
    elif variant in variants:
        found = variants[variant]
        lines, full_name = variants[found] if isinstance(found, str) else found, f"{name}/{variant}"
    else:
        raise VocabularyError(
            f'the vocabulary "{name}" has no variant "{variant}": its variants are '
            f"{', '.join(variants) or 'none'}"
        )
    words = tuple(tuple(line.split(f"{SEPARATOR} ")) for line in lines)
    is_thing = None
    if "things" in content:
        things = set(content["things"])
        is_thing = tuple(index in things for index in range(len(words)))
    return BuiltinList(full_name, words, content["background"], is_thing)


def _canonical(spec: str) -> str:
    return spec.strip().lower().replace("_", "-")


def _read(name: str) -> dict:
    path = resources.files("ovseg.text").joinpath("names", f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))


def _unknown(spec: str) -> str:
    close = difflib.get_close_matches(_canonical(spec), list_vocabularies(variants=True), n=3)
    hint = f"did you mean {' or '.join(close)}" if close else f"there are {', '.join(LISTS)}"
    return (
        f'there is no vocabulary "{spec}": {hint}; or give the path of a .txt or .json file, '
        f"or a list of class names"
    )
