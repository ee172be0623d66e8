"""Where bfloat16 is faster than float32."""

from __future__ import annotations

import torch

#: Names of torch's table of what a processor can do. Without one of them it emulates bfloat16.
_UNITS = ("avx512_bf16", "amx_bf16")


def computes_bfloat16(device: str | torch.device) -> bool | None:
    """Whether a device has units for bfloat16.

    Args:
        device: a GPU is taken to have them.

    Returns:
        None if it is not known: torch tells of x86 processors only, and only newer ones do.
    """
    if torch.device(device).type != "cpu":
        return True
    able = getattr(torch.cpu, "get_capabilities", dict)()
    if not any(unit in able for unit in _UNITS):
        return None
    return any(able.get(unit, False) for unit in _UNITS)
