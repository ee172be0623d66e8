"""Mistakes in configs, told in one sentence; bugs met on the way keep their traceback.

MMEngine raises whatever a mistake leads to: SyntaxError, KeyError, TypeError. What tells it from a
bug is where it comes from: the config's own lines, or the call that hands a config's settings to a
class, and nothing below it.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from ovseg.errors import ConfigError

__all__ = ["building", "change_config", "read_config"]

_UNREADABLE = (
    SyntaxError,
    ImportError,
    OSError,
    UnicodeDecodeError,
    json.JSONDecodeError,
    yaml.YAMLError,
)
_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")


def read_config(path: str | Path) -> Config:
    """Read a configuration file.

    Raises:
        ConfigError: It is missing, inherits from a file that is, or cannot be read.
    """
    if not Path(path).is_file():
        raise ConfigError(f"Config {path} does not exist; see the folder `configs`.")
    try:
        return Config.fromfile(path)
    except FileNotFoundError as error:
        raise ConfigError(f"Config {path} inherits from a file that is missing: {error}") from error
    except Exception as error:
        if not isinstance(error, _UNREADABLE) and not _in_a_config(error):
            raise
        raise ConfigError(
            f"Config {path} cannot be read ({type(error).__name__}: {_words(error)}); correct it, "
            "or the files it inherits from and imports."
        ) from error


def change_config(config: Config, changes: dict[str, Any]) -> None:
    """Change settings, as in ``{"model.window_batch": 4}``.

    Raises:
        ConfigError: They do not fit what is there.
    """
    try:
        config.merge_from_dict(changes)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        told = ", ".join(f"{key}={value}" for key, value in changes.items())
        raise ConfigError(
            f"The config cannot be changed by {told} ({_words(error)}); see what it holds there."
        ) from error


@contextmanager
def building(what: str, *configs: Any) -> Iterator[None]:
    """Build what configs describe.

    Types that there are not, and settings that a class does not take, are mistakes in them.

    Args:
        what: What messages call it.
        configs: The configs it is built of, as MMEngine takes them.

    Raises:
        ConfigError: There is such a mistake.
        Exception: Anything else that the block raises, as it is.
    """
    try:
        yield
    except (KeyError, TypeError) as error:
        words = _words(error)
        unexpected = _UNEXPECTED.search(words)
        named = unexpected is not None and _has_key(configs, unexpected[1])
        if not named and _frames(error)[-1].name != "build_from_cfg":
            raise
        raise ConfigError(
            f"{what} cannot be built ({words}); correct the config or --cfg-options."
        ) from error


def _frames(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__)


def _in_a_config(error: Exception) -> bool:
    """Whether an error comes of MMEngine's reading or of a line of a config.

    Modules that a config imports are read by Python's import: their errors are bugs.
    """
    before, last = [None, *_frames(error)][-2:]
    if "mmengine" in Path(last.filename).parts:
        return True
    reader = before is not None and Path(before.filename).parts[-3:]
    return reader == ("mmengine", "config", "config.py") and last.name == "<module>"


def _words(error: BaseException) -> str:
    """What an error says in itself, in one line."""
    while isinstance(error, ImportError) and (error.__cause__ or error.__context__):
        error = error.__cause__ or error.__context__  # "No module named ..." under MMEngine's own
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = re.sub(r" \(<\w+>, line (\d+)\)", r" in line \1", text)
    text = " ".join(text.split(" Please check ")[0].split())
    return text.removesuffix(".")


def _has_key(settings: Any, name: str) -> bool:
    if isinstance(settings, dict):
        return name in settings or any(_has_key(value, name) for value in settings.values())
    return isinstance(settings, (list, tuple)) and any(_has_key(v, name) for v in settings)
