"""Which parameters decay."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ovseg.engine.optim_constructor import GroupedOptimConstructor
from ovseg.errors import ConfigError
from ovseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

__all__ = ["DecayByKind", "DecayOfMatrices", "parameter_groups"]

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
class DecayByKind(GroupedOptimConstructor):
    """Builds an optimizer of what is trained, without weight decay on norms and embeddings.

    ``paramwise_cfg`` may have ``undecayed``, names of other parameters that do not decay.

    Source: the public code of FC-CLIP and Mask2Former (``build_optimizer``), whose other rules
    concern backbones that are trained.
    """

    setting = "undecayed"

    def groups(self, model: nn.Module) -> list[dict]:
        """What decays, then what does not."""
        return parameter_groups(model, tuple(self.chosen or ()))


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DecayOfMatrices(GroupedOptimConstructor):
    """Builds an optimizer of what is trained; only tensors of two dimensions or more decay.

    Source: open_clip's training (``exclude`` in ``main.py``), as CLIPSelf uses it.
    """

    def groups(self, model: nn.Module) -> list[dict]:
        """What decays, then what does not."""
        trained = [p for p in model.parameters() if p.requires_grad]
        return [
            dict(params=[p for p in trained if p.ndim >= 2]),
            dict(params=[p for p in trained if p.ndim < 2], weight_decay=0.0),
        ]
