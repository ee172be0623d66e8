"""Protocols by name: the presets of ``configs/_base_/protocols``, for any model."""

from __future__ import annotations

import difflib
import inspect
import warnings
from pathlib import Path
from typing import Any

from ovseg.apis.zoo import config_root
from ovseg.errors import ConfigError

__all__ = ["list_protocols", "protocol_preset", "set_protocol"]

#: What a method chose for one set, on that set: no preset says anything of it.
THRESHOLDS = ("prob_threshold", "area_threshold", "foreground_threshold")


def _files() -> dict[str, Path]:
    folder = config_root() / "_base_" / "protocols"
    return {path.stem: path for path in sorted(folder.glob("*.py"))}


def list_protocols() -> list[str]:
    """The names of the protocols that models can run under."""
    return list(_files())


def protocol_preset(name: str) -> dict[str, Any]:
    """The numbers of a preset.

    Args:
        name: one of `list_protocols`.

    Returns:
        A value for every setting of a `Protocol` but its thresholds, which are not of a preset.

    Raises:
        ConfigError: there is no such preset; lists those there are.
    """
    from mmengine.config import Config  # not before it is needed: command lines ask for names only

    from ovseg.segmentors.protocol import Protocol

    files = _files()
    if name not in files:
        close = difflib.get_close_matches(str(name), files, n=1, cutoff=0.6)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigError(f"there is no protocol called {name!r}{hint}: choose {', '.join(files)}")
    settings = Protocol.load(Config.fromfile(files[name]).protocol.to_dict()).as_dict()
    return {key: value for key, value in settings.items() if key not in THRESHOLDS}


def set_protocol(model: dict[str, Any], name: str) -> None:
    """Put a model under a preset.

    Its thresholds stay. Only ``foreground_threshold``, which has no meaning where the softmax is
    at the pixels, is set to 0 there, with a warning.

    Args:
        model: settings of a model (the ``model`` of a config); changed in place.
        name: one of `list_protocols`.

    Raises:
        ConfigError: there is no such preset, or the model takes no protocol.
    """
    from ovseg.registry import MODELS

    preset = protocol_preset(name)
    kind = MODELS.get(model["type"]) if "type" in model else None
    if kind is None or "protocol" not in inspect.signature(kind).parameters:
        raise ConfigError(
            f"a model of type {model.get('type')} takes no protocol such as {name}: it is for "
            "models with a setting `protocol`"
        )
    settings = {**(model.get("protocol") or {}), **preset}
    if preset["softmax"] != "patches" and settings.get("foreground_threshold"):
        warnings.warn(
            f"{name} takes its softmax at the pixels, so foreground_threshold="
            f"{settings['foreground_threshold']} is left out",
            stacklevel=2,
        )
        settings["foreground_threshold"] = 0.0
    model["protocol"] = settings
