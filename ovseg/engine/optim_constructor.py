"""Which parameters decay."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ovseg.errors import ConfigError
from ovseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS

__all__ = ["DecayByKind", "parameter_groups"]

#: Modules whose parameters keep their size: norms and embeddings, as in the public code.
UNDECAYED = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm, nn.Embedding)


def parameter_groups(model: nn.Module, undecayed: Sequence[str] = ()) -> list[dict]:
    """Trained parameters in two groups: those that decay, and those that keep their size.

    Args:
        model: What is trained.
        undecayed: Names of parameters that do not decay, beside those of norms and embeddings.

    Raises:
        ConfigError: Nothing has one of the names.
    """
    decayed, kept, seen, named = [], [], set(), set()
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(path, recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            if name in undecayed:
                named.add(name)
            keeps = isinstance(module, UNDECAYED) or name in undecayed
            (kept if keeps else decayed).append(parameter)
    missing = sorted(set(undecayed) - named)
    if missing:
        raise ConfigError(
            f"Nothing that is trained of {type(model).__name__} is called {missing[0]}; correct "
            "optim_wrapper.paramwise_cfg.undecayed."
        )
    groups = [dict(params=decayed), dict(params=kept, weight_decay=0.0)]
    return [group for group in groups if group["params"]]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DecayByKind:
    """Builds an optimizer of what is trained, without weight decay on norms and embeddings.

    Source: the public code of FC-CLIP and Mask2Former (``build_optimizer``), whose other rules
    concern backbones that are trained.

    Args:
        optim_wrapper_cfg: Config of the wrapper, with ``optimizer``.
        paramwise_cfg: May have ``undecayed``, names of other parameters that do not decay.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        unknown = sorted(set(paramwise_cfg or ()) - {"undecayed"})
        if unknown:
            raise ConfigError(
                f"DecayByKind knows undecayed in paramwise_cfg, not {unknown[0]}; leave it out, or "
                "take MMEngine's DefaultOptimWrapperConstructor."
            )
        self.undecayed = tuple((paramwise_cfg or {}).get("undecayed", ()))
        self.config = dict(deepcopy(optim_wrapper_cfg))

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper.

        Raises:
            ConfigError: Nothing of the model is trained, or has a name that is given.
        """
        groups = parameter_groups(
            model.module if is_model_wrapper(model) else model, self.undecayed
        )
        if not groups:
            raise ConfigError(f"Nothing of {type(model).__name__} is trained; unfreeze a part.")
        config = dict(self.config)
        optimizer = OPTIMIZERS.build({**config.pop("optimizer"), "params": groups})
        config.setdefault("type", "GuardedOptimWrapper")
        return OPTIM_WRAPPERS.build({**config, "optimizer": optimizer})
