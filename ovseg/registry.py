"""MMEngine registries of this package: children of MMSegmentation's, scope ``ovseg``.

Everything mmseg registers can be named in our configs, and ours never shadow theirs.
"""

from __future__ import annotations

from ovseg import compat

compat.install()

from mmengine.registry import Registry  # noqa: E402
from mmseg import registry as mmseg_registry  # noqa: E402

__all__ = ["DATASETS", "HOOKS", "METRICS", "MODELS", "TRANSFORMS", "VISUALIZERS"]


def _child(name: str, locations: list[str]) -> Registry:
    parent = getattr(mmseg_registry, name)
    return Registry(parent.name, parent=parent, scope="ovseg", locations=locations)


MODELS = _child("MODELS", ["ovseg.encoders", "ovseg.dense", "ovseg.segmentors"])
DATASETS = _child("DATASETS", ["ovseg.datasets"])
TRANSFORMS = _child("TRANSFORMS", ["ovseg.datasets"])
METRICS = _child("METRICS", ["ovseg.evaluation"])
VISUALIZERS = _child("VISUALIZERS", ["ovseg.visualization"])
HOOKS = _child("HOOKS", ["ovseg.evaluation"])
