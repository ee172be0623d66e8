"""Steps of the optimizer in any precision, which are not made with values that are no numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from ovseg.errors import ConfigError
from ovseg.registry import OPTIM_WRAPPERS

__all__ = ["GuardedOptimWrapper", "NotFiniteError"]

_DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class NotFiniteError(Exception):
    """A loss or gradient is not a finite number, in one process at least; all processes raise it.

    Attributes:
        what: ``"loss"`` or ``"gradient"``.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"the {what} is not a finite number")
        self.what = what


@OPTIM_WRAPPERS.register_module()
class GuardedOptimWrapper(OptimWrapper):
    """MMEngine's wrapper with mixed precision on every device and a look at what it is given.

    Args:
        precision: ``"fp32"``; ``"bf16"``, autocast on any device; ``"fp16"``, autocast with
            dynamic loss scaling, on a GPU. Weights stay in float32.
        **kwargs: As for `mmengine.optim.OptimWrapper` (``optimizer``, ``clip_grad``,
            ``accumulative_counts``).

    Raises:
        ConfigError: Unknown precision, or fp16 without a GPU.
    """

    def __init__(self, precision: str = "fp32", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if precision not in _DTYPES:
            raise ConfigError(
                f"precision {precision!r} of the optim_wrapper is not known: choose one of "
                f"{', '.join(_DTYPES)}."
            )
        self.precision = precision
        self.device_type = get_device().partition(":")[0]
        if precision == "fp16" and self.device_type == "cpu":
            raise ConfigError(
                "precision 'fp16' of the optim_wrapper needs a GPU: choose 'bf16' or 'fp32'."
            )
        self.scaler = torch.amp.GradScaler(self.device_type) if precision == "fp16" else None

    def autocast(self) -> Any:
        """Context of the forward pass."""
        dtype = _DTYPES[self.precision]
        if dtype is None:
            return nullcontext()
        return torch.autocast(self.device_type, dtype)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of a training step."""
        with super().optim_context(model), self.autocast():
            yield

    def update_params(
        self, loss: Tensor, step_kwargs: dict | None = None, zero_kwargs: dict | None = None
    ) -> None:
        """Backward and step, unless the loss is no number in any process.

        Raises:
            NotFiniteError: It is none; gradients and parameters are as they were.
        """
        bad = (~torch.isfinite(loss.detach())).any().float()
        all_reduce(bad, "max")
        if bad:
            raise NotFiniteError("loss")
        super().update_params(loss, step_kwargs, zero_kwargs)

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Gradients of the loss, scaled where the precision asks for it."""
        super().backward(loss if self.scaler is None else self.scaler.scale(loss), **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Clip the gradients and make the step.

        Raises:
            NotFiniteError: A gradient is no number, with nothing but the loss to blame: without
                loss scaling, which meets such gradients as a matter of course.
        """
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        self._clip_grad()
        if self.scaler is None:
            self.optimizer.step(**kwargs)
        else:
            self.scaler.step(self.optimizer, **kwargs)
            self.scaler.update()

    def _clip_grad(self) -> None:
        grads = [p.grad for group in self.optimizer.param_groups for p in group["params"]]
        grads = [grad for grad in grads if grad is not None]
        if not grads:
            return
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in grads]))
        if torch.isfinite(norm):
            if self.clip_grad_kwargs:
                super()._clip_grad()
        elif self.scaler is None:
            raise NotFiniteError("gradient")

    def state_dict(self) -> dict:
        """State of the optimizer, and of the loss scaling if there is one."""
        state = super().state_dict()
        if self.scaler is not None:
            state["loss_scaler"] = self.scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """Load what `state_dict` gave, in this or another precision."""
        state_dict = dict(state_dict)
        scaling = state_dict.pop("loss_scaler", None)
        if self.scaler is not None and scaling is not None:
            self.scaler.load_state_dict(scaling)
        super().load_state_dict(state_dict)
