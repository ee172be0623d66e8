"""Optimizers of what is trained, with parameters in groups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import nn

from ovseg.errors import ConfigError
from ovseg.registry import OPTIM_WRAPPERS, OPTIMIZERS

__all__ = ["GroupedOptimConstructor"]


class GroupedOptimConstructor(ABC):
    """Builds an optimizer of what is trained; a subclass says in which groups.

    Args:
        optim_wrapper_cfg: Config of the wrapper, with ``optimizer``; a `GuardedOptimWrapper` by
            default.
        paramwise_cfg: May have `setting`, which is left in ``self.chosen``.

    Raises:
        ConfigError: ``paramwise_cfg`` has something else.
    """

    #: The only key of ``paramwise_cfg``; None where there is none.
    setting: str | None = None

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        given = dict(paramwise_cfg or {})
        self.chosen: Any = given.pop(self.setting, None) if self.setting else None
        if given:
            other, setting = sorted(given)[0], self.setting
            known = (
                f"knows {setting} in paramwise_cfg, not {other}" if setting else "has no settings"
            )
            raise ConfigError(
                f"{type(self).__name__} {known}: leave {other} out of "
                "optim_wrapper.paramwise_cfg, or take MMEngine's DefaultOptimWrapperConstructor."
            )
        self.config = dict(deepcopy(optim_wrapper_cfg))

    @abstractmethod
    def groups(self, model: nn.Module) -> list[dict]:
        """Parameter groups of what is trained of a model; groups may be empty."""

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper.

        Raises:
            ConfigError: Nothing of the model is trained, or what is chosen is not in it.
        """
        bare = model.module if is_model_wrapper(model) else model
        if not any(p.requires_grad for p in bare.parameters()):
            raise ConfigError(f"Nothing of {type(bare).__name__} is trained; unfreeze a part.")
        groups = [group for group in self.groups(bare) if group["params"]]
        config = dict(self.config)
        optimizer = OPTIMIZERS.build({**config.pop("optimizer"), "params": groups})
        config.setdefault("type", "GuardedOptimWrapper")
        return OPTIM_WRAPPERS.build({**config, "optimizer": optimizer})
