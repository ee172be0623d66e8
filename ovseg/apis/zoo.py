"""Which models exist: names, configs, weights, licences; one metafile per method says it all."""

from __future__ import annotations

import difflib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from ovseg.errors import ConfigError


@dataclass(frozen=True)
class ModelInfo:
    """One entry of the model zoo.

    Attributes:
        name: ``<method>_<backbone>``.
        config: path of its config below the folder of configs.
        parameters: parameters of all encoders, in millions.
        download: megabytes fetched on first use; 0 for packaged weights.
        weights: where the weights come from.
        licence: licence of the weights.
        description: one sentence.
        tasks: what it can be asked for, of "semantic", "panoptic" and "instance".
    """

    name: str
    config: str
    parameters: float
    download: float
    weights: str
    licence: str
    description: str
    tasks: tuple[str, ...] = ("semantic",)


def config_root() -> Path:
    """The folder of configs: inside the installed package, or beside it in a checkout."""
    package = Path(importlib.util.find_spec("ovseg").origin).parent
    for root in (package / "configs", package.parent / "configs"):
        if (root / "_base_").is_dir():
            return root
    raise ConfigError(
        f"the configs are neither in {package / 'configs'} nor beside the package: "
        "install ovseg again, or run from a whole checkout"
    )


@lru_cache(maxsize=1)
def _zoo() -> dict[str, ModelInfo]:
    models = {}
    for path in sorted(config_root().glob("*/metafile.yml")):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["Models"]:
            entry = {key.lower(): value for key, value in entry.items()}
            if "tasks" in entry:
                entry["tasks"] = tuple(entry["tasks"])
            info = ModelInfo(**entry)
            models[info.name] = info
    return models


def list_models(pattern: str = "", task: str | None = None) -> list[ModelInfo]:
    """The models there are, by name.

    Args:
        pattern: only those whose name holds it.
        task: only those that can be asked for "semantic", "panoptic" or "instance".
    """
    found = [info for name, info in sorted(_zoo().items()) if pattern in name]
    return [info for info in found if task is None or task in info.tasks]


def model_info(name: str) -> ModelInfo:
    """The entry of a model.

    Raises:
        ConfigError: if there is no such model; close names are suggested.
    """
    if name not in _zoo():
        close = difflib.get_close_matches(name, _zoo(), n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else "see ovseg.list_models()"
        raise ConfigError(f"there is no model called {name!r}: {hint}")
    return _zoo()[name]
