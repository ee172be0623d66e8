"""Which parameters decay."""

from __future__ import annotations

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


def parameter_groups(model: nn.Module) -> list[dict]:
    """Trained parameters in two groups: those that decay, and those of norms and embeddings."""
    decayed, kept, seen = [], [], set()
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            (kept if isinstance(module, UNDECAYED) else decayed).append(parameter)
    groups = [dict(params=decayed), dict(params=kept, weight_decay=0.0)]
    return [group for group in groups if group["params"]]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DecayByKind:
    """Builds an optimizer of what is trained, without weight decay on norms and embeddings.

    Source: the public code of FC-CLIP and Mask2Former (``build_optimizer``), whose other rules
    concern backbones that are trained.

    Args:
        optim_wrapper_cfg: Config of the wrapper, with ``optimizer``.
        paramwise_cfg: None; there is nothing to set.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if paramwise_cfg:
            raise ConfigError(
                "DecayByKind takes no paramwise_cfg; leave it out, or take MMEngine's "
                "DefaultOptimWrapperConstructor."
            )
        self.config = dict(deepcopy(optim_wrapper_cfg))

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper.

        Raises:
            ConfigError: Nothing of the model is trained.
        """
        groups = parameter_groups(model.module if is_model_wrapper(model) else model)
        if not groups:
            raise ConfigError(f"Nothing of {type(model).__name__} is trained; unfreeze a part.")
        config = dict(self.config)
        optimizer = OPTIMIZERS.build({**config.pop("optimizer"), "params": groups})
        config.setdefault("type", "GuardedOptimWrapper")
        return OPTIM_WRAPPERS.build({**config, "optimizer": optimizer})
