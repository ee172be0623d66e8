"""Running means of what is trained."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from torch import Tensor

from ovseg.errors import ConfigError
from ovseg.registry import HOOKS
from ovseg.utils.frozen import trained_state

__all__ = ["TrainedEMAHook"]


@HOOKS.register_module()
class TrainedEMAHook(Hook):
    """Exponential moving average of the weights, for evaluation and in checkpoints.

    Only what is trained is averaged; whole numbers and buffers are copied. While the model is
    evaluated it has the averages. A checkpoint's ``state_dict`` holds the averages, which is what
    testing loads, and ``raw_state_dict`` the weights that training goes on with.

    Args:
        momentum: Share of the newest weights in each iteration.
        begin: Iteration up to which the average is simply the newest weights.
    """

    priority = "NORMAL"

    def __init__(self, momentum: float = 0.0002, begin: int = 0) -> None:
        if not 0 < momentum < 1:
            raise ConfigError(f"momentum of the average must be between 0 and 1, got {momentum}.")
        self.momentum, self.begin = momentum, begin
        self.mean: dict[str, Tensor] = {}
        self._saved: dict[str, Tensor] | None = None
        self._raw: dict[str, Tensor] | None = None

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Take the averages of a run that goes on."""
        if "raw_state_dict" in checkpoint:
            self._saved = checkpoint["state_dict"]

    def before_train(self, runner: Any) -> None:
        """Begin with the averages of before, else with the weights as they are."""
        state = trained_state(runner.bare_model)
        begun = self._saved if self._saved is not None and runner.iter > 0 else state
        self.mean = {name: begun[name].detach().to(t.device).clone() for name, t in state.items()}
        self._averaged = {n for n, p in runner.bare_model.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Move the averages."""
        for name, value in trained_state(runner.bare_model).items():
            if name in self._averaged and runner.iter >= self.begin:
                self.mean[name].lerp_(value, self.momentum)
            else:
                self.mean[name].copy_(value)

    @torch.no_grad()
    def _exchange(self, runner: Any) -> None:
        """Give the model the averages, and the next time its own weights again."""
        state = trained_state(runner.bare_model)
        if self._raw is None:
            self._raw = {name: value.clone() for name, value in state.items()}
            source = self.mean
        else:
            source, self._raw = self._raw, None
        for name, value in state.items():
            value.copy_(source[name])

    def before_val_epoch(self, runner: Any) -> None:
        """Evaluate the averages."""
        self._exchange(runner)

    def after_val_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        """Go on with the weights."""
        self._exchange(runner)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Save both."""
        checkpoint["raw_state_dict"] = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: value.cpu().clone() for name, value in self.mean.items()}
