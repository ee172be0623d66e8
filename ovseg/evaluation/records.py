"""One line of JSON for each finished image: what an interrupted run does not compute again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ovseg.errors import ConfigError
from ovseg.utils.writable import check_writable, write_whole

__all__ = ["RecordStore", "image_key", "settings_digest", "write_json"]


def image_key(img_path: str | os.PathLike | None, root: str = "") -> str:
    """Name of an image that holds on another machine too: its path below the image folder.

    Args:
        img_path: Path of the image, or any name a dataset gives it.
        root: Folder of the images of the dataset.

    Returns:
        A relative path with ``/``; images outside ``root`` keep their whole path without its root.

    Raises:
        ValueError: There is no path: results could not be told apart.
    """
    if not img_path:
        raise ValueError("Samples need an img_path (or any unique name there) to be told apart.")
    path = Path(img_path)
    if root:
        try:
            return path.relative_to(root).as_posix()
        except ValueError:
            pass
    parts = [part for part in path.parts if part not in (path.anchor, "..", ".")]
    return "/".join(parts)


def write_json(path: Path, content: Any, indent: int | None = 2) -> None:
    """Write a JSON file whole or not at all; folders are made.

    Raises:
        SaveError: It cannot be written (disk full, folder not writable).
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
    write_whole(path, f"{text}\n".encode())


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Stable hash of JSON-like settings."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class RecordStore:
    """Records of finished images in a folder, one file of JSON lines for each process.

    `add` collects the records of a batch, `commit` puts them on disk once everything else of those
    images has been saved: an image whose record is there needs no second look.

    Args:
        folder: Where the files lie.
        settings: What the results depend on (model, data, metric, checkpoint); kept beside the
            records, so that results of different settings are never mixed.
        resume: Take up the records that are there; else they are removed.
        rank: Number of this process.

    Raises:
        ConfigError: ``resume`` is asked for but the records belong to other settings.
    """

    def __init__(
        self, folder: str | Path, settings: Mapping[str, Any], *, resume: bool, rank: int = 0
    ) -> None:
        self.folder = Path(folder)
        self.settings = json.loads(json.dumps(settings, default=str))
        self._rank = rank
        self._pending: list[tuple[str, str, dict]] = []
        self._finished: dict[str, dict[str, dict]] = {}  # metric -> image -> record
        if resume:
            self._check_settings()
            self._read()

    @property
    def _settings_file(self) -> Path:
        return self.folder / "settings.json"

    @property
    def own_file(self) -> Path:
        """Where this process writes."""
        return self.folder / f"records.{self._rank}.jsonl"

    def start(self, resume: bool) -> None:
        """Prepare the folder; to be called by one process, before any commits.

        Raises:
            SaveError: It cannot be written to.
        """
        check_writable(self.folder)
        if not resume:
            for path in self.folder.glob("records.*.jsonl"):
                path.unlink()
        write_json(self._settings_file, self.settings)

    def add(self, metric: str, key: str, record: dict) -> None:
        """Keep the record of an image until `commit`."""
        self._pending.append((metric, key, record))

    def commit(self) -> None:
        """Append what was added to this process's file, in one write, down to the disk."""
        if not self._pending:
            return
        lines = [
            json.dumps({"image": key, "metric": metric, "record": record}, allow_nan=False)
            for metric, key, record in self._pending
        ]
        text = "\n".join(lines) + "\n"
        if self._ends_in_half_a_line():
            text = "\n" + text
        with self.own_file.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._pending.clear()

    def finished_records(self, metric: str) -> dict[str, dict]:
        """Records of one metric that an earlier run left, by image."""
        return self._finished.get(metric, {})

    def finished_images(self, metrics: Iterable[str]) -> set[str]:
        """Images for which each of these metrics has a record."""
        sets = [set(self.finished_records(metric)) for metric in metrics]
        return set.intersection(*sets) if sets else set()

    def _ends_in_half_a_line(self) -> bool:
        """Whether the last write of an earlier run was cut."""
        if not self.own_file.exists() or self.own_file.stat().st_size == 0:
            return False
        with self.own_file.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"

    def _check_settings(self) -> None:
        if not self._settings_file.exists():
            return
        try:
            before = json.loads(self._settings_file.read_text(encoding="utf-8"))
        except ValueError:
            before = {}
        if before != self.settings:
            change = _difference(before, self.settings)
            raise ConfigError(
                f"{self.folder} holds results of other settings ({change}), which "
                " cannot be continued; use another --work-dir, or leave --resume out to start "
                "anew."
            )

    def _read(self) -> None:
        for path in sorted(self.folder.glob("records.*.jsonl")):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    entry = json.loads(line)
                    key, metric, record = entry["image"], entry["metric"], entry["record"]
                except (ValueError, KeyError, TypeError):
                    continue  # cut by the interruption: that image is computed again
                self._finished.setdefault(metric, {})[key] = record


def _difference(before: Any, now: Any, where: str = "") -> str:
    """The first place where two JSON values differ, with both values."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            if before.get(name) != now.get(name) or (name in before) != (name in now):
                place = f"{where}.{name}" if where else name
                return _difference(before.get(name), now.get(name), place)
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i, (old, new) in enumerate(zip(before, now, strict=True)):
            if old != new:
                return _difference(old, new, f"{where}[{i}]")
    return f"{where} was {_short(before)} and is {_short(now)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
