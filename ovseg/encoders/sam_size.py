"""Weights of a SAM for another size of input than they were trained at."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from segment_anything.modeling import Sam
from torch import Tensor

__all__ = ["fit_positions"]


def fit_positions(state: Mapping[str, Tensor], sam: Sam) -> dict[str, Tensor]:
    """Enlarge or reduce what a checkpoint says of positions, so that it fits a model.

    The position embedding is resized as a picture (bicubic), the relative positions of the global
    blocks as a line, as segment_anything itself does with those of windows. All else does not
    depend on the size of the input.

    Args:
        state: Weights of a SAM that differs from ``sam`` in the size of its input alone.
        sam: The model they are for. It is not changed.

    Returns:
        The weights, where positions differ in number resized, else as they were.
    """
    fitting, own = dict(state), sam.state_dict()
    for name, tensor in state.items():
        wanted = own[name].shape if name in own else tensor.shape
        if tensor.shape == wanted:
            continue
        if name.endswith("pos_embed") and tensor.ndim == 4:
            table = tensor.permute(0, 3, 1, 2).float()
            table = F.interpolate(table, wanted[1:3], mode="bicubic", align_corners=False)
            fitting[name] = table.permute(0, 2, 3, 1).to(tensor.dtype)
        elif "rel_pos" in name and tensor.ndim == 2:
            line = F.interpolate(tensor.T[None].float(), wanted[0], mode="linear")
            fitting[name] = line[0].T.to(tensor.dtype)
    return fitting
