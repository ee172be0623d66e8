"""What was trained, in the layout in which it is given to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from ovseg.engine.storage import save_whole
from ovseg.errors import ConfigError
from ovseg.registry import HOOKS

__all__ = ["ReleaseHook"]


@HOOKS.register_module()
class ReleaseHook(Hook):
    """Beside every checkpoint, a file of the trained weights alone, for those who use them.

    It is always of the newest checkpoint, with running means where there are any, and written
    whole or not at all. Its layout is the model's affair: ``model.released(state)`` gives what is
    saved for a state as checkpoints hold it.

    Args:
        name: Of the file, in the work directory.
    """

    priority = "VERY_LOW"  # after the means are there, and frozen weights have been compared

    def __init__(self, name: str = "last.pt") -> None:
        self.name = name

    def before_train(self, runner: Any) -> None:
        """Make sure that the model knows how."""
        if not hasattr(runner.bare_model, "released"):
            raise ConfigError(
                f"{type(runner.bare_model).__name__} has no layout for others than its "
                "checkpoints; take ReleaseHook out of custom_hooks."
            )

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Write the file."""
        content = runner.bare_model.released(checkpoint["state_dict"])
        save_whole(content, Path(runner.work_dir) / self.name)
