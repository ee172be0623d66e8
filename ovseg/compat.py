"""The one place that makes MMSegmentation and MMEngine work beside the pure-Python mmcv.

MMSegmentation 1.2.2 asks ``mmcv.ops`` for four names when it is imported. ``mmcv-lite`` has the
sources of that package but not the compiled extension they need, so the import fails. `install`
puts a finder in front of Python's own that answers for ``mmcv.ops`` with stand-ins, and only while
``mmcv._ext`` cannot be found: beside a compiled mmcv every question is left to mmcv itself.

MMEngine 0.10.7 reads checkpoints with a bare ``torch.load``. Up to torch 2.5 that runs whatever
code a file holds; from torch 2.6 on it refuses MMEngine's own checkpoints, whose message hub holds
`HistoryBuffer` and NumPy objects. `install` sees to it
that readers which do neither take the place of MMEngine's as soon as those are imported.
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
_CHECKPOINT = "mmengine.runner.checkpoint"


def has_compiled_mmcv() -> bool:
    """Whether the installed mmcv brings its compiled operators."""
    try:
        return importlib.util.find_spec("mmcv._ext") is not None
    except (ModuleNotFoundError, ValueError):  # no mmcv at all, or a module without a spec
        return sys.modules.get("mmcv._ext") is not None


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers for ``mmcv.ops`` where its compiled half is missing, and follows up one import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == _OPS and not has_compiled_mmcv():
            return importlib.machinery.ModuleSpec(_OPS, self, origin="ovseg.utils.mmcv_ops")
        if fullname == _CHECKPOINT:
            return _followed_up(importlib.machinery.PathFinder.find_spec(fullname, path))
        return None

    def exec_module(self, module: ModuleType) -> None:
        from ovseg.utils import mmcv_ops

        module.__doc__ = mmcv_ops.__doc__
        module.__all__ = list(mmcv_ops.__all__)
        for name in mmcv_ops.__all__:
            setattr(module, name, getattr(mmcv_ops, name))


def _followed_up(
    spec: importlib.machinery.ModuleSpec | None,
) -> importlib.machinery.ModuleSpec | None:
    """The spec of MMEngine's checkpoint module, which gets our readers once it is imported."""
    if spec is None or spec.loader is None:
        return spec
    execute = spec.loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        _register_readers()

    spec.loader.exec_module = exec_module
    return spec


def _register_readers() -> None:
    from ovseg.utils.checkpoints import register_with_mmengine

    register_with_mmengine()


def install() -> None:
    """Make mmsegmentation importable and MMEngine's checkpoints readable; harmless when repeated.

    Takes no time: nothing of torch, mmcv, mmengine or mmseg is imported here, they are dealt with
    when somebody imports them. ``import ovseg`` calls this.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())
    if _CHECKPOINT in sys.modules:
        _register_readers()
    # mmcv-lite warns about one operator that nothing here uses; no other warning is touched.
    warnings.filterwarnings(
        "ignore", message="Fail to import ``MultiScaleDeformableAttention``", category=UserWarning
    )
