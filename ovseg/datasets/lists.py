"""Lists of images and of classes: text files of one name a line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ovseg.errors import DatasetError

__all__ = ["read_lines", "read_names"]


def read_lines(path: str | Path, what: str) -> list[str]:
    """Lines of a text file without the blanks around them; empty ones are skipped.

    Args:
        path: The file.
        what: What messages call it.

    Raises:
        DatasetError: It cannot be read, or is no text in UTF-8.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(
            f"{what} {path} cannot be read ({error.strerror or error}); correct its path or its "
            "permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{what} {path} is not text in UTF-8 (byte {error.start}); save it as UTF-8, one name "
            "a line."
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_names(path: str | Path) -> list[str]:
    """Names in a list of images, in its order; empty lines are skipped.

    Raises:
        DatasetError: It cannot be read, is no text in UTF-8, is empty, or has a name twice (which
            would count that image twice).
    """
    names = read_lines(path, "List of images")
    if not names:
        raise DatasetError(
            f"List of images {path} is empty; write one name a line, or fetch or make it again."
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DatasetError(
            f"List of images {path} names {len(twice)} images more than once, the first is "
            f"{twice[0]}; leave one line for each."
        )
    return names
