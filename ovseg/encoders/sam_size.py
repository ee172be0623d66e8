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
    fitting, own, encoder = dict(state), sam.state_dict(), "image_encoder"
    blocks = enumerate(sam.image_encoder.blocks)
    lines = [f"blocks.{i}.attn.rel_pos_{x}" for i, b in blocks if b.window_size == 0 for x in "hw"]
    for name in (f"{encoder}.{part}" for part in ("pos_embed", *lines)):
        if name not in state or state[name].shape == own[name].shape:
            continue
        tensor, wanted = state[name], own[name].shape
        if name.endswith("pos_embed"):
            table = tensor.permute(0, 3, 1, 2).float()
            table = F.interpolate(table, wanted[1:3], mode="bicubic", align_corners=False)
            fitting[name] = table.permute(0, 2, 3, 1).to(tensor.dtype)
        else:
            line = F.interpolate(tensor.T[None].float(), wanted[0], mode="linear")
            fitting[name] = line[0].T.to(tensor.dtype)
    return fitting
