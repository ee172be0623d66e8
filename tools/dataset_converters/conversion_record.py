"""What a converter keeps in the ``conversion.json`` beside its label files.

The settings that they were made with, so that files of two origins are never mixed without notice,
and under ``notes``, where there is something to note:

  list       SHA-256 of the list of images that the converter wrote: a list with another content was
             written by somebody else
  overwrite  settings of an ``--overwrite`` that is not finished
  replacing  true while the new files of that ``--overwrite`` take the places of the old ones
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ovseg.apis.storage import write_files
from ovseg.datasets.lists import read_names
from ovseg.errors import DatasetError

NOTES = "notes"


class Record:
    """The record of a folder of label files.

    Args:
        path: The file; it may be missing.

    Attributes:
        settings: What the label files were made with; empty where nothing says it.
        notes: See the module.
        mistake: Why the file cannot be read, or None.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings: dict = {}
        self.notes: dict = {}
        self.mistake: ValueError | None = None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError("it is no JSON object")
            notes = content.pop(NOTES, {})
            self.notes = notes if isinstance(notes, dict) else {}
            self.settings = content
        except FileNotFoundError:
            pass
        except ValueError as error:
            self.mistake = error

    def check_origin(self, settings: dict, done: int) -> None:
        """Make sure that label files which are there were made with the same settings.

        Args:
            settings: Of this run.
            done: How many label files are there.

        Raises:
            DatasetError: They were made of something else.
        """
        if not done:
            return
        if self.mistake is not None:
            raise DatasetError(
                f"{self.path} cannot be read ({self.mistake}); make all files again with "
                "--overwrite."
            ) from self.mistake
        if self.settings != settings:
            made = f"were made with {self.settings}, not {settings}"
            raise DatasetError(
                f"{self.path.parent} holds {done} label files that "
                + (made if self.settings else "this tool did not write")
                + "; use them as they are, or replace them with --overwrite."
            )

    def write(self, settings: dict | None = None, **notes: object) -> None:
        """Write the record where it changes.

        Args:
            settings: New settings; None leaves them.
            **notes: New notes; None takes one out.
        """
        before = (self.settings, self.notes)
        if settings is not None:
            self.settings = settings
        merged = {**self.notes, **notes}
        self.notes = {key: value for key, value in merged.items() if value is not None}
        if before != (self.settings, self.notes) or not self.path.exists() or self.mistake:
            write_files({self.path: self._content()})
            self.mistake = None

    def wrote(self, path: Path) -> bool:
        """Whether a list of images is there as this converter wrote it."""
        return path.is_file() and _digest(path.read_bytes()) == self.notes.get("list")

    def write_list(self, path: Path, names: Sequence[str], overwrite: bool = False) -> None:
        """Write a list of images, one name a line in order.

        A list of this converter is written anew; one of somebody else is left alone if it names
        the same images.

        Args:
            path: The list.
            names: Its names.
            overwrite: Replace the list of somebody else.

        Raises:
            DatasetError: Somebody else's list names other images.
        """
        content = "".join(f"{name}\n" for name in sorted(names)).encode()
        if path.exists() and not overwrite and not self.wrote(path):
            _check_same(path, names)
            return
        if path.exists() and path.read_bytes() == content:
            return
        self.notes["list"] = _digest(content)
        # At once, so that no interruption leaves a list that nothing says the origin of.
        write_files({path: content, self.path: self._content()})

    def _content(self) -> bytes:
        content = {**self.settings, **({NOTES: self.notes} if self.notes else {})}
        return (json.dumps(content, indent=2) + "\n").encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check_same(path: Path, names: Sequence[str]) -> None:
    """Refuse a list that names other images than these."""
    listed, wanted = set(read_names(path)), set(names)
    parts = [
        f"{what}, the first is {min(found)}"
        for what, found in (
            (f"lacks {len(wanted - listed)} of the {len(wanted)} images", wanted - listed),
            (f"names {len(listed - wanted)} that are none of them", listed - wanted),
        )
        if found
    ]
    if parts:
        raise DatasetError(
            f"List of images {path} was not written by this tool and {', and '.join(parts)}; "
            "correct it, delete it, or have it written anew with --overwrite."
        )
