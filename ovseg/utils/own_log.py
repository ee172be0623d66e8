"""Runs of one process that do not write into one another's log."""

from __future__ import annotations

from typing import Any

from mmengine.logging import MMLogger

__all__ = ["OwnLog"]


class OwnLog:
    """Mixed into a runner of MMEngine: gives its log, and all that is named like it, a new name.

    MMEngine names them by the config and the second, and hands out what has that name already: two
    runs of one config started within a second would write to the files of the first.
    """

    _experiment_name: str

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """As in MMEngine, after making the name of the run its own."""
        name, number = self._experiment_name, 1
        while MMLogger.check_instance_created(self._experiment_name):
            number += 1
            self._experiment_name = f"{name}_{number}"
        return super().build_logger(*args, **kwargs)
