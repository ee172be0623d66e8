"""Open-vocabulary segmentation: an image and some words in, a mask out.

    import ovseg
    result = ovseg.segment("photo.jpg", ["cat", "sofa", "wall"])
    result.save("results")

Nothing heavy is loaded before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ovseg import compat
from ovseg.version import __version__

if TYPE_CHECKING:
    from ovseg.apis.instance_result import InstanceResult
    from ovseg.apis.panoptic_result import PanopticResult
    from ovseg.apis.presets import list_protocols
    from ovseg.apis.result import SegmentationResult
    from ovseg.apis.segmenter import Segmenter, create_model, segment
    from ovseg.apis.zoo import list_models
    from ovseg.text import Vocabulary

__all__ = [
    "InstanceResult",
    "PanopticResult",
    "SegmentationResult",
    "Segmenter",
    "Vocabulary",
    "__version__",
    "create_model",
    "list_models",
    "list_protocols",
    "segment",
]

compat.install()

_HOMES = {
    "InstanceResult": "ovseg.apis.instance_result",
    "PanopticResult": "ovseg.apis.panoptic_result",
    "SegmentationResult": "ovseg.apis.result",
    "Segmenter": "ovseg.apis.segmenter",
    "Vocabulary": "ovseg.text",
    "create_model": "ovseg.apis.segmenter",
    "list_models": "ovseg.apis.zoo",
    "list_protocols": "ovseg.apis.presets",
    "segment": "ovseg.apis.segmenter",
}


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
