"""Reading checkpoints without running code from them, and putting them into modules."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file (64 hexadecimal digits), memoised by path, size and modification time."""
    raise NotImplementedError


def load_state_dict(path: str | Path) -> dict[str, torch.Tensor]:
    """Tensors of a checkpoint by name."""
    raise NotImplementedError


def apply_state_dict(
    module: nn.Module,
    state: dict[str, torch.Tensor],
    *,
    name: str,
    origin: str | Path,
    strict: bool = True,
) -> None:
    """Put ``state`` into ``module`` or say what does not fit."""
    raise NotImplementedError
