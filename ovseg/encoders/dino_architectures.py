"""What a DINO model is made of: timm's name for it, or a packaged description."""

from __future__ import annotations

import json
from typing import Any

from ovseg.encoders.sources import nano_file
from ovseg.errors import ConfigError

__all__ = ["get_dino_architecture"]


def get_dino_architecture(model: str) -> tuple[str, dict[str, Any]]:
    """Give timm's name of a model and the sizes in which it differs from timm's.

    Args:
        model: A packaged description (``nano-dino-4``: ``nano-dino-4.json`` among the assets, with
            the keys ``timm_model`` and ``overrides``), or any other name, which is left to timm.

    Returns:
        The name for ``timm.create_model`` and its keyword arguments; none for a name of timm's.

    Raises:
        ConfigError: The packaged description is of another kind of model.
    """
    packaged = nano_file(f"{model}.json")
    if not packaged.is_file():
        return model, {}
    description = json.loads(packaged.read_text(encoding="utf-8"))
    if "timm_model" not in description:
        raise ConfigError(f"{model!r} is a packaged model, but not a DINO.")
    return description["timm_model"], dict(description.get("overrides", {}))
