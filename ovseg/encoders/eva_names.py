"""Names of EVA02-CLIP's tensors: those of its authors, and those of timm, which open_clip takes.

The authors of EVA-CLIP and of CLIPSelf release checkpoints of a tower of their own; it is the same
tower under other names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

__all__ = ["is_eva_clip", "rename_eva_clip", "timm_name"]

T = TypeVar("T")

#: Below a block, theirs and timm's.
_IN_BLOCK = {
    "attn.q_bias": "attn.q_proj.bias",
    "attn.v_bias": "attn.v_proj.bias",
    "attn.inner_attn_ln.": "attn.norm.",
    "mlp.w1.": "mlp.fc1_g.",
    "mlp.w2.": "mlp.fc1_x.",
    "mlp.ffn_ln.": "mlp.norm.",
    "mlp.w3.": "mlp.fc2.",
}
#: Computed, and so no part of a checkpoint of open_clip.
_COMPUTED = re.compile(r"(^|\.)rope\.freqs_")


def timm_name(name: str) -> str | None:
    """What a tensor of their image tower is called in open_clip's; None for what is computed."""
    if _COMPUTED.search(name):
        return None
    for theirs, ours in _IN_BLOCK.items():
        if f".{theirs}" in name:
            name = name.replace(f".{theirs}", f".{ours}")
            break
    return f"trunk.{name}"


def is_eva_clip(state: Mapping[str, object]) -> bool:
    """Whether a checkpoint holds EVA02-CLIP under its authors' names."""
    return any(name.startswith("visual.blocks.") for name in state)


def rename_eva_clip(state: Mapping[str, T]) -> dict[str, T]:
    """A checkpoint of EVA02-CLIP or of a CLIPSelf of it, under open_clip's names.

    The text tower and the logit scale have the same names in both.
    """
    renamed: dict[str, T] = {}
    for name, value in state.items():
        new: str | None = name
        if name.startswith("visual."):
            new = timm_name(name.removeprefix("visual."))
            new = None if new is None else f"visual.{new}"
        if new is not None:
            renamed[new] = value
    return renamed
