"""What a DINO model is made of: timm's name for it, or a packaged description."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ovseg.encoders.sources import nano_file
from ovseg.errors import ConfigError

__all__ = ["DINOArchitecture", "get_dino_architecture"]


@dataclass(frozen=True)
class DINOArchitecture:
    """A ViT of timm and how it differs from timm's.

    Attributes:
        timm_model: name for ``timm.create_model``.
        overrides: its keyword arguments.
        stem: widths of the convolutions that make patches; empty for timm's single one.
    """

    timm_model: str
    overrides: dict[str, Any] = field(default_factory=dict)
    stem: tuple[int, ...] = ()


def get_dino_architecture(model: str) -> DINOArchitecture:
    """Look a model up.

    Args:
        model: A packaged description (``nano-dino-8``: ``nano-dino-8.json`` among the assets, with
            the keys of `DINOArchitecture`), or any other name, which is left to timm.

    Raises:
        ConfigError: The packaged description is of another kind of model.
    """
    packaged = nano_file(f"{model}.json")
    if not packaged.is_file():
        return DINOArchitecture(model)
    description = json.loads(packaged.read_text(encoding="utf-8"))
    if "timm_model" not in description:
        raise ConfigError(f"{model!r} is a packaged model, but not a DINO.")
    stem = tuple(description.pop("stem", ()))
    return DINOArchitecture(**description, stem=stem)
