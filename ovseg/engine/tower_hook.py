"""The tower that was trained, as a file for everything that reads CLIP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from ovseg.errors import ConfigError
from ovseg.registry import HOOKS

__all__ = ["SaveTowerHook"]


@HOOKS.register_module()
class SaveTowerHook(Hook):
    """At the end of training, saves the model's tower in open_clip's layout into the work dir.

    Args:
        name: Of the file.
        blend: Share of the trained weights in what is saved; the rest is as before training.
    """

    priority = "VERY_LOW"  # behind the checkpoint, and what is compared before it

    def __init__(self, name: str = "tower.safetensors", blend: float = 1.0) -> None:
        if not 0 <= blend <= 1 or not name.endswith(".safetensors"):
            raise ConfigError(
                f"SaveTowerHook: name must end in .safetensors and blend be from 0 to 1, got "
                f"{name!r} and {blend}."
            )
        self.name, self.blend = name, blend

    def before_train(self, runner: Any) -> None:
        """Refuse a model that has no tower before it is trained."""
        if not hasattr(runner.bare_model, "save_tower"):
            raise ConfigError(
                f"{type(runner.bare_model).__name__} trains no tower: leave SaveTowerHook out of "
                "custom_hooks."
            )

    def after_train(self, runner: Any) -> None:
        """Save."""
        if is_main_process():
            path = Path(runner.work_dir) / self.name
            runner.bare_model.save_tower(path, self.blend, iterations=runner.iter)
            runner.logger.info(f"Trained tower: {path}; use it as image_encoder.weights")
