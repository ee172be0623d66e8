"""Weight decay on matrices alone."""

from __future__ import annotations

from copy import deepcopy

from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import nn

from ovseg.errors import ConfigError
from ovseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS

__all__ = ["DecayOfMatrices"]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DecayOfMatrices:
    """Builds an optimizer of what is trained; only tensors of two dimensions or more decay.

    Source: open_clip's training (``exclude`` in ``main.py``), as CLIPSelf uses it.

    Args:
        optim_wrapper_cfg: Config of the wrapper, with ``optimizer``.
        paramwise_cfg: Must be empty.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if paramwise_cfg:
            raise ConfigError(
                f"DecayOfMatrices has no settings: leave {sorted(paramwise_cfg)[0]} out of "
                "optim_wrapper.paramwise_cfg."
            )
        self.config = dict(deepcopy(optim_wrapper_cfg))

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper.

        Raises:
            ConfigError: Nothing of the model is trained.
        """
        bare = model.module if is_model_wrapper(model) else model
        trained = [p for p in bare.parameters() if p.requires_grad]
        if not trained:
            raise ConfigError(f"Nothing of {type(bare).__name__} is trained; unfreeze a part.")
        groups = [
            dict(params=[p for p in trained if p.ndim >= 2]),
            dict(params=[p for p in trained if p.ndim < 2], weight_decay=0.0),
        ]
        config = dict(self.config)
        groups = [group for group in groups if group["params"]]
        optimizer = OPTIMIZERS.build({**config.pop("optimizer"), "params": groups})
        config.setdefault("type", "GuardedOptimWrapper")
        return OPTIM_WRAPPERS.build({**config, "optimizer": optimizer})
