"""MMEngine registries of this package: children of MMSegmentation's, scope ``ovseg``.

Everything mmseg and MMEngine register can be named in our configs, and ours never shadow theirs.
Every registry of mmseg has a child here, the empty ones too: MMEngine warns whenever it builds
something under a scope that has no registry of that kind.
"""

from __future__ import annotations

from mmengine.registry import Registry
from mmseg import registry as mmseg_registry

__all__ = [
    "DATASETS",
    "DATA_SAMPLERS",
    "EVALUATOR",
    "HOOKS",
    "LOG_PROCESSORS",
    "LOOPS",
    "METRICS",
    "MODELS",
    "MODEL_WRAPPERS",
    "OPTIMIZERS",
    "OPTIM_WRAPPERS",
    "OPTIM_WRAPPER_CONSTRUCTORS",
    "PARAM_SCHEDULERS",
    "RUNNERS",
    "TASK_UTILS",
    "TRANSFORMS",
    "VISBACKENDS",
    "VISUALIZERS",
    "WEIGHT_INITIALIZERS",
]


def _child(name: str, *locations: str) -> Registry:
    """Child of mmseg's registry of that name.

    MMEngine imports the locations of the registry it is asked, never those of its parents: where
    configs name things of mmseg, its package has to be listed here as well.
    """
    parent = getattr(mmseg_registry, name)
    return Registry(parent.name, parent=parent, scope="ovseg", locations=list(locations))


# what is built from configs of models
MODELS = _child(
    "MODELS",
    "mmseg.models",
    "ovseg.encoders",
    "ovseg.dense",
    "ovseg.refine",
    "ovseg.heads",
    "ovseg.segmentors",
)
MODEL_WRAPPERS = _child("MODEL_WRAPPERS", "mmseg.models")
TASK_UTILS = _child("TASK_UTILS", "mmseg.models", "ovseg.heads")
WEIGHT_INITIALIZERS = _child("WEIGHT_INITIALIZERS", "mmseg.models")

# data
DATASETS = _child("DATASETS", "mmseg.datasets", "ovseg.datasets.builtin")
TRANSFORMS = _child("TRANSFORMS", "mmseg.datasets", "ovseg.datasets.builtin")
DATA_SAMPLERS = _child("DATA_SAMPLERS", "mmseg.datasets", "ovseg.datasets.builtin")

# running, scoring, looking at results
RUNNERS = _child("RUNNERS", "mmseg.engine", "ovseg.engine")
LOOPS = _child("LOOPS", "mmseg.engine", "ovseg.engine")
HOOKS = _child("HOOKS", "mmseg.engine", "ovseg.evaluation", "ovseg.engine")
LOG_PROCESSORS = _child("LOG_PROCESSORS", "mmseg.engine", "ovseg.engine")
METRICS = _child("METRICS", "mmseg.evaluation", "ovseg.evaluation")
EVALUATOR = _child("EVALUATOR", "mmseg.evaluation")
VISUALIZERS = _child("VISUALIZERS", "mmseg.visualization", "ovseg.visualization")
VISBACKENDS = _child("VISBACKENDS", "mmseg.visualization")

# training
OPTIMIZERS = _child("OPTIMIZERS", "mmseg.engine")
OPTIM_WRAPPERS = _child("OPTIM_WRAPPERS", "mmseg.engine", "ovseg.engine")
OPTIM_WRAPPER_CONSTRUCTORS = _child("OPTIM_WRAPPER_CONSTRUCTORS", "mmseg.engine", "ovseg.engine")
PARAM_SCHEDULERS = _child("PARAM_SCHEDULERS", "mmseg.engine")
