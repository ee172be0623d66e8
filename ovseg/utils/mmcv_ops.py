"""Pure-PyTorch stand-ins for what MMSegmentation asks of ``mmcv.ops``.

Functions are complete and follow the behavior documented by mmcv; modules that only exist as
compiled kernels say so when they are built. `ovseg.compat` serves these names as ``mmcv.ops``.
"""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "CrissCrossAttention",
    "PSAMask",
    "get_compiler_version",
    "get_compiling_cuda_version",
    "point_sample",
    "sigmoid_focal_loss",
]


def point_sample(input: Tensor, points: Tensor, align_corners: bool = False, **kwargs) -> Tensor:
    """Values of a feature map at points given in relative coordinates.

    Args:
        input: (N, C, H, W) features.
        points: (N, P, 2) or (N, Hp, Wp, 2), (x, y) with 0 and 1 the borders of the map.
        align_corners: As for `torch.nn.functional.grid_sample`.
        **kwargs: Passed on to `torch.nn.functional.grid_sample` (``mode``, ``padding_mode``).

    Returns:
        (N, C, P) or (N, C, Hp, Wp), dtype of ``input``.
    """
    is_list = points.dim() == 3
    grid = points.unsqueeze(2) if is_list else points
    sampled = F.grid_sample(input, grid * 2 - 1, align_corners=align_corners, **kwargs)
    return sampled.squeeze(3) if is_list else sampled


def sigmoid_focal_loss(
    input: Tensor,
    target: Tensor,
    gamma: float = 2.0,
    alpha: float = 0.25,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Focal loss over independent sigmoids (Lin et al., 2017, eq. 5).

    Args:
        input: (N, C) logits.
        target: (N,) integer class of each row; C means background, no class is positive.
        gamma: Exponent of the modulating factor.
        alpha: Weight of the positive term; the negative one gets ``1 - alpha``.
        weight: (C,) factor of each row, picked by its target; background rows keep 1.
        reduction: ``"none"`` gives (N, C), ``"sum"`` a scalar, ``"mean"`` the sum divided by N.

    Raises:
        ValueError: ``reduction`` is none of the three.
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', not {reduction!r}.")
    num_classes = input.size(1)
    positive = F.one_hot(target, num_classes + 1)[:, :num_classes].to(torch.bool)
    probability = input.sigmoid()
    loss = torch.where(
        positive,
        -alpha * (1 - probability) ** gamma * F.logsigmoid(input),
        -(1 - alpha) * probability**gamma * F.logsigmoid(-input),
    )
    if weight is not None:
        loss = loss * F.pad(weight, (0, 1), value=1.0)[target].unsqueeze(1)
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.sum() / max(input.size(0), 1)


def _needs_compiled(name: str) -> NoReturn:
    raise NotImplementedError(
        f"{name} exists only as a compiled operator; install the full mmcv (`pip install mmcv`) in "
        "place of mmcv-lite to use the head that needs it."
    )


class CrissCrossAttention(nn.Module):
    """Placeholder: criss-cross attention needs the compiled mmcv."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__()
        _needs_compiled("CrissCrossAttention")


class PSAMask(nn.Module):
    """Placeholder: the point-wise spatial attention mask needs the compiled mmcv."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__()
        _needs_compiled("PSAMask")


def get_compiler_version() -> str:
    """What mmcv's environment report prints where nothing was compiled."""
    return "n/a"


def get_compiling_cuda_version() -> str:
    """What mmcv's environment report prints where nothing was compiled."""
    return "n/a"
