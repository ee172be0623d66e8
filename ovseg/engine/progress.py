"""One short line of progress."""

from __future__ import annotations

import datetime
import sys
from typing import Any

import torch
from mmengine.runner import LogProcessor

from ovseg.registry import LOG_PROCESSORS

__all__ = ["ShortLogProcessor", "peak_memory"]


@LOG_PROCESSORS.register_module()
class ShortLogProcessor(LogProcessor):
    """Training lines with loss, learning rate, remaining time and memory.

    Everything else, such as the losses of all layers, goes to the file of scalars only.

    Args: as for `mmengine.runner.LogProcessor`.
    """

    def __init__(self, *args: Any, by_epoch: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, by_epoch=by_epoch, **kwargs)

    def get_log_after_iter(self, runner: Any, batch_idx: int, mode: str) -> tuple[dict, str]:
        """Scalars to keep, and the line."""
        scalars, line = super().get_log_after_iter(runner, batch_idx, mode)
        if mode != "train":
            return scalars, line
        scalars.setdefault("memory", peak_memory())
        width = len(str(runner.max_iters))
        parts = [f"{scalars['iter']:>{width}}/{runner.max_iters}"]
        if "loss" in scalars:
            parts.append(f"loss {scalars['loss']:.4g}")
        if "lr" in scalars:
            parts.append(f"lr {scalars['lr']:.2e}")
        eta = runner.message_hub.runtime_info.get("eta")
        if eta is not None:
            parts.append(f"eta {datetime.timedelta(seconds=int(eta))}")
        if scalars["memory"]:
            parts.append(f"memory {scalars['memory']} MB")
        return scalars, "  ".join(parts)


def peak_memory() -> int:
    """Greatest memory so far in MB: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() >> 20
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> (20 if sys.platform == "darwin" else 10)
