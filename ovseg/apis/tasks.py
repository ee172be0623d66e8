"""What a model can be asked for, and the results that come of its predictions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from ovseg.apis.inputs import ImageInput
from ovseg.apis.instance_result import InstanceResult
from ovseg.apis.panoptic_result import PanopticResult
from ovseg.apis.result import SegmentationResult
from ovseg.apis.zoo import list_models
from ovseg.errors import ConfigError
from ovseg.text import Vocabulary

__all__ = ["TASKS", "AnyResult", "check_task", "make_result", "task_argument"]

AnyResult = SegmentationResult | PanopticResult | InstanceResult


def _semantic(sample: Any, classes: tuple[str, ...], **common: Any) -> SegmentationResult:
    areas, scores = sample.get("areas"), sample.get("scores")
    return SegmentationResult(
        mask=sample.pred_sem_seg.data[0].cpu().numpy(),
        classes=classes,
        areas=None if areas is None else areas.cpu().numpy(),
        scores=None if scores is None else scores.cpu().numpy(),
        **common,
    )


def _panoptic(sample: Any, classes: tuple[str, ...], **common: Any) -> PanopticResult:
    ids = sample.pred_panoptic.data[0].cpu().numpy()
    return PanopticResult(ids=ids, segments=sample.pred_segments, classes=classes, **common)


def _instances(sample: Any, classes: tuple[str, ...], **common: Any) -> InstanceResult:
    found = sample.pred_instances
    return InstanceResult(
        masks=found.masks.cpu().numpy(),
        labels=found.labels.cpu().numpy(),
        scores=found.scores.float().cpu().numpy(),
        classes=classes,
        **common,
    )


TASKS: dict[str, Callable[..., AnyResult]] = {
    "semantic": _semantic,
    "panoptic": _panoptic,
    "instance": _instances,
}
"""Each task, and how its result is made of a data sample."""


def check_task(model: torch.nn.Module, task: str, name: str) -> None:
    """Make sure that a model can be asked for a task.

    Raises:
        ConfigError: there is no such task, or the model does not know it.
    """
    if task not in TASKS:
        raise ConfigError(f"there is no task {task!r}: choose one of {', '.join(TASKS)}")
    if task != "semantic" and not _knows_tasks(model):
        others = [info.name for info in list_models(task=task)]
        hint = f"take {' or '.join(others)}" if others else "take a model of FC-CLIP's kind"
        raise ConfigError(
            f"{name} gives one class for each pixel and tells no {task} segments apart: {hint} "
            f"for task={task!r}"
        )


def task_argument(model: torch.nn.Module, task: str) -> dict[str, Any]:
    """What ``predict`` of a model has to be told, so that it does no more than the task."""
    return {"tasks": (task,)} if _knows_tasks(model) else {}


def _knows_tasks(model: torch.nn.Module) -> bool:
    return "tasks" in inspect.signature(model.predict).parameters


def make_result(
    task: str, sample: Any, vocabulary: Vocabulary, image: ImageInput, info: dict[str, Any]
) -> AnyResult:
    """The result of one image.

    Args:
        task: a key of `TASKS`.
        sample: the data sample with the model's predictions.
        vocabulary: the classes that were asked for.
        image: what was segmented.
        info: what made the result.
    """
    common = {"image": image.pixels, "name": image.name, "info": info}
    return TASKS[task](sample, vocabulary.classes, **common)
