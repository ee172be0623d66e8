"""Entries of annotation files, checked before anything is made of them."""

from __future__ import annotations

from collections.abc import Mapping

from ovseg.errors import DatasetError

__all__ = ["IDENTIFIER", "NUMBER", "check_entries"]

IDENTIFIER = (int, str)
NUMBER = (int, float)

_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
    bool: "true or false",
    type(None): "null",
}


def check_entries(
    entries: object,
    place: str,
    fields: Mapping[str, tuple[type, ...]],
    optional: Mapping[str, tuple[type, ...]] | None = None,
) -> None:
    """Make sure that each entry of a list in an annotation file has its fields.

    Args:
        entries: The list, as JSON gave it.
        place: How errors name it, with its file.
        fields: Types of the fields that each entry needs.
        optional: Types of those that it may have.

    Raises:
        DatasetError: It is no list of objects, or a field is missing or of another type.
    """
    if not isinstance(entries, list):
        raise DatasetError(f"{place} is not a list; fetch or write the file again.")
    wanted = [(name, types, True) for name, types in fields.items()]
    wanted += [(name, types, False) for name, types in (optional or {}).items()]
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise DatasetError(
                f"Entry {number} of {place} is {_short(entry)}, not an object; fetch or write the "
                "file again."
            )
        for name, types, needed in wanted:
            if name not in entry:
                if needed:
                    raise DatasetError(
                        f"Entry {number} of {place} has no {name!r}; fetch or write the file again."
                    )
            # By type and not isinstance: true and false are no numbers.
            elif type(entry[name]) not in types:
                raise DatasetError(
                    f"Entry {number} of {place} has {_short(entry[name])} as {name!r}, not "
                    f"{' or '.join(_WORDS[kind] for kind in types)}; fetch or write the file again."
                )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
