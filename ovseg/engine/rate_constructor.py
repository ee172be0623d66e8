"""Which parameters learn how fast."""

from __future__ import annotations

from copy import deepcopy

from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import nn

from ovseg.errors import ConfigError
from ovseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS

__all__ = ["RateByPart"]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class RateByPart:
    """Builds an optimizer of what is trained, with learning rates of their own for some parts.

    Args:
        optim_wrapper_cfg: Config of the wrapper, with ``optimizer``.
        paramwise_cfg: May have ``rates``: learning rates by what names of parameters begin with.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        unknown = sorted(set(paramwise_cfg or ()) - {"rates"})
        if unknown:
            raise ConfigError(
                f"RateByPart knows rates in paramwise_cfg, not {unknown[0]}; leave it out, or "
                "take MMEngine's DefaultOptimWrapperConstructor."
            )
        self.rates = dict((paramwise_cfg or {}).get("rates", {}))
        self.config = dict(deepcopy(optim_wrapper_cfg))

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper; parameters without a rate of their own come first.

        Raises:
            ConfigError: Nothing of the model is trained, or begins with a name that is given.
        """
        model = model.module if is_model_wrapper(model) else model
        groups: dict[str, list[nn.Parameter]] = {"": [], **{name: [] for name in self.rates}}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                owners = [begin for begin in self.rates if name.startswith(begin)]
                groups[max(owners, key=len, default="")].append(parameter)
        if not any(groups.values()):
            raise ConfigError(f"Nothing of {type(model).__name__} is trained; unfreeze a part.")
        for begin in self.rates:
            if not groups[begin]:
                raise ConfigError(
                    f"Nothing that is trained of {type(model).__name__} begins with {begin}; "
                    "correct optim_wrapper.paramwise_cfg.rates."
                )
        config = dict(self.config)
        params = [
            dict(params=found, **({"lr": self.rates[begin]} if begin else {}))
            for begin, found in groups.items()
            if found
        ]
        optimizer = OPTIMIZERS.build({**config.pop("optimizer"), "params": params})
        config.setdefault("type", "GuardedOptimWrapper")
        return OPTIM_WRAPPERS.build({**config, "optimizer": optimizer})
