"""Published scores, with who published them and where: data beside the configs of each method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from ovseg.apis.zoo import config_root
from ovseg.errors import ConfigError

__all__ = ["PublishedRow", "published_for", "published_rows"]


@dataclass(frozen=True)
class PublishedRow:
    """What one source published for one model.

    Attributes:
        label: How the README of the method names it.
        model: The model of the zoo that it is about; empty for a model that the zoo has not.
        by: ``"authors"``, or ``"others"`` who quote or rerun them.
        source: Where the figures stand.
        scores: By benchmark, the name of each metric and its value in percent.
        differs: What was done otherwise than our configs do it; empty where nothing is known.
    """

    label: str
    model: str
    by: str
    source: str
    scores: Mapping[str, Mapping[str, float]]
    differs: str = ""


def published_rows(method: str) -> tuple[PublishedRow, ...]:
    """The rows of ``configs/<method>/published.yml``; none where there is no such file.

    Raises:
        ConfigError: The file cannot be read, or says what it must not.
    """
    return _read(config_root() / method / "published.yml")


@lru_cache(maxsize=64)
def _read(path: Path) -> tuple[PublishedRow, ...]:
    if not path.is_file():
        return ()
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))["Rows"]
        return tuple(_row(entry) for entry in entries)
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"Published scores in {path} cannot be read ({error!r}).") from error


def _row(entry: Mapping) -> PublishedRow:
    scores = {
        name: dict(value) if isinstance(value, Mapping) else {"mIoU": value}
        for name, value in entry["Scores"].items()
    }
    for name, values in scores.items():
        if not all(0 < float(value) < 100 for value in values.values()):
            raise ValueError(f"scores of {name} are not percent")
    if entry["By"] not in ("authors", "others"):
        raise ValueError(f"By is authors or others, not {entry['By']!r}")
    return PublishedRow(
        label=entry["Label"],
        model=entry.get("Model", ""),
        by=entry["By"],
        source=entry["Source"],
        scores=scores,
        differs=entry.get("Differs", ""),
    )


def published_for(method: str, model: str, benchmark: str) -> list[PublishedRow]:
    """Rows that tell of a model on a benchmark: those made as our configs do it come first."""
    found = [r for r in published_rows(method) if r.model == model and benchmark in r.scores]
    return sorted(found, key=lambda row: bool(row.differs))
