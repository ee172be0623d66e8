"""What the scores of a run depend on, as one hash: settings, images and masks, checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ovseg.apis.testing import build_dataset
from ovseg.evaluation.records import settings_digest
from ovseg.evaluation.run_record import checkpoint_entry
from ovseg.version import __version__

__all__ = ["run_digest"]

_PATHS = ("img_path", "seg_map_path", "panoptic_path")


def run_digest(config: Config, checkpoint: str | Path | None = None) -> str:
    """Of everything that scores depend on: not where results go, or how many processes work.

    Files of the dataset, and those that the config names, count by name, size and time of change:
    they are not read. Of a checkpoint the content counts.

    Args:
        config: Needs ``test_dataloader`` and ``test_evaluator``.
        checkpoint: Trained weights; by default those that the config names.

    Raises:
        DatasetError: The dataset is not laid out as configured.
        ConfigError: The config has no dataset.
    """
    settings = {k: v for k, v in config.to_dict().items() if k not in ("work_dir", "launcher")}
    checkpoint = checkpoint or config.get("load_from")
    path = checkpoint and Path(checkpoint).expanduser()
    found = path is not None and path.is_file()  # a missing one is told by the run
    return settings_digest(
        dict(
            ovseg=__version__,
            config=settings,
            files={text: _stamp(text) for text in _texts(settings) if os.path.isfile(text)},
            samples=_samples(config),
            checkpoint=checkpoint_entry(path)["sha256"] if found else path and str(path),
        )
    )


def _samples(config: Config) -> list[list]:
    """Each sample's files as they are now, and its segments where a list of the dataset has them.

    Samples that are drawn have names without files; then the names count.
    """
    dataset = build_dataset(config)
    samples = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        paths = [str(info[kind]) for kind in _PATHS if info.get(kind)]
        samples.append([[[path, _stamp(path)] for path in paths], info.get("segments")])
    return samples


def _stamp(path: str) -> list[int] | None:
    """Size and time of change of a file; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return [status.st_size, status.st_mtime_ns]


def _texts(settings: Any) -> Iterator[str]:
    """Every string among settings, any of which may name a file: weights, words, templates."""
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, dict):
        for value in settings.values():
            yield from _texts(value)
    elif isinstance(settings, (list, tuple)):
        for value in settings:
            yield from _texts(value)
