"""The one place that makes MMSegmentation and MMEngine work beside the pure-Python mmcv.

MMSegmentation 1.2.2 asks ``mmcv.ops`` for four names when it is imported. ``mmcv-lite`` has the
sources of that package but not the compiled extension they need, so the import fails. `install`
puts a finder in front of Python's own that answers for ``mmcv.ops`` with stand-ins, and only while
``mmcv._ext`` cannot be found: beside a compiled mmcv every question is left to mmcv itself.

MMEngine 0.10.7 reads checkpoints with a bare ``torch.load``. Up to torch 2.5 that runs whatever
code a file holds; from torch 2.6 on it refuses MMEngine's own checkpoints, whose message hub holds
`HistoryBuffer` and NumPy objects. `install` registers readers that do neither.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

__all__ = ["has_compiled_mmcv", "install"]

_OPS = "mmcv.ops"


def has_compiled_mmcv() -> bool:
    """Whether the installed mmcv brings its compiled operators."""
    try:
        return importlib.util.find_spec("mmcv._ext") is not None
    except (ModuleNotFoundError, ValueError):  # no mmcv at all, or a module without a spec
        return sys.modules.get("mmcv._ext") is not None


class _OpsFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers for ``mmcv.ops`` where its compiled half is missing."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _OPS or has_compiled_mmcv():
            return None
        return importlib.machinery.ModuleSpec(_OPS, self, origin="ovseg.utils.mmcv_ops")

    def exec_module(self, module: ModuleType) -> None:
        from ovseg.utils import mmcv_ops

        module.__doc__ = mmcv_ops.__doc__
        module.__all__ = list(mmcv_ops.__all__)
        for name in mmcv_ops.__all__:
            setattr(module, name, getattr(mmcv_ops, name))


def install() -> None:
    """Make mmsegmentation importable and MMEngine's checkpoints readable; harmless when repeated.

    Must run before mmseg is first imported; `ovseg.registry` sees to that.
    """
    if any(isinstance(finder, _OpsFinder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _OpsFinder())
    # mmcv-lite warns about one operator that nothing here uses; no other warning is touched.
    warnings.filterwarnings(
        "ignore", message="Fail to import ``MultiScaleDeformableAttention``", category=UserWarning
    )
    from ovseg.utils.checkpoints import register_with_mmengine

    register_with_mmengine()
