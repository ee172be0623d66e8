"""Which parameters learn how fast."""

from __future__ import annotations

from torch import nn

from ovseg.engine.optim_constructor import GroupedOptimConstructor
from ovseg.errors import ConfigError
from ovseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

__all__ = ["RateByPart"]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class RateByPart(GroupedOptimConstructor):
    """Builds an optimizer of what is trained, with learning rates of their own for some parts.

    ``paramwise_cfg`` may have ``rates``: learning rates by what names of parameters begin with.
    """

    setting = "rates"

    def groups(self, model: nn.Module) -> list[dict]:
        """Parameters without a rate of their own, then those of each beginning."""
        rates = dict(self.chosen or {})
        found: dict[str, list[nn.Parameter]] = {"": [], **{name: [] for name in rates}}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                owners = [begin for begin in rates if name.startswith(begin)]
                found[max(owners, key=len, default="")].append(parameter)
        for begin in rates:
            if not found[begin]:
                raise ConfigError(
                    f"Nothing that is trained of {type(model).__name__} begins with {begin}; "
                    "correct optim_wrapper.paramwise_cfg.rates."
                )
        return [
            dict(params=params, **({"lr": rates[begin]} if begin else {}))
            for begin, params in found.items()
        ]
