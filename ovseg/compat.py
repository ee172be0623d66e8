"""Make mmsegmentation importable beside the pure-Python mmcv (first cut)."""

from __future__ import annotations

import importlib.util
import sys
import types


def install() -> None:
    """Put stand-ins for ``mmcv.ops`` in place where the compiled operators are missing."""
    if "mmcv.ops" in sys.modules or importlib.util.find_spec("mmcv._ext") is not None:
        return
    ops = types.ModuleType("mmcv.ops")
    for name in ("point_sample", "sigmoid_focal_loss", "CrissCrossAttention", "PSAMask"):
        setattr(ops, name, type(name, (), {}))
    sys.modules["mmcv.ops"] = ops
