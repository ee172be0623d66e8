"""The JSON record of a run: everything needed to say what a number means."""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from ovseg.version import __version__

__all__ = ["checkpoint_entry", "package_versions", "run_record", "to_plain"]

RECORD_FORMAT = "ovseg.run/1"

_PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "mmengine",
    "mmsegmentation",
    "mmcv",
    "mmcv-lite",
    "open_clip_torch",
    "timm",
    "segment-anything",
    "numba",
    "opencv-python",
    "opencv-python-headless",
    "pillow",
)


def package_versions() -> dict[str, str]:
    """Versions of this package, of Python, and of the packages it stands on."""
    versions = {"ovseg": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def checkpoint_entry(path: str | Path | None) -> dict[str, str] | None:
    """Path and sha256 of a checkpoint; None where there is none."""
    if path is None:
        return None
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"path": str(path), "sha256": digest.hexdigest()}


def to_plain(value: Any) -> Any:
    """JSON values of anything in a config or a result; NaN and infinity become null."""
    if isinstance(value, dict):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(v) for v in value]
    if isinstance(value, (bool, str, int)) or value is None:
        return value
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        return to_plain(value.item() if value.size == 1 else value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return str(value)


def run_record(
    config: Config,
    model: nn.Module,
    scores: dict[str, float],
    *,
    dataset: dict[str, Any],
    metrics: list[dict[str, Any]],
    checkpoint: dict[str, str] | None = None,
    seed: int | None = None,
    seconds: float | None = None,
    resumed_images: int = 0,
) -> dict[str, Any]:
    """Assemble the record of a finished run.

    Args:
        config: The whole configuration.
        model: Asked for ``fingerprints()``, ``protocol`` and ``vocabulary`` where it has them.
        scores: Overall scores.
        dataset: Name, number of images and classes of what was scored.
        metrics: For each metric its name, settings (such as the rule for absent classes) and
            scores by class.
        checkpoint: Path and hash, see `checkpoint_entry`.
        seed: Random seed of the run.
        seconds: Wall time of this run.
        resumed_images: How many images an earlier, interrupted run had finished.

    Returns:
        A dict of JSON values.
    """
    fingerprints = getattr(model, "fingerprints", None)
    protocol = getattr(model, "protocol", None)
    vocabulary = getattr(model, "vocabulary", None)
    as_dict = getattr(protocol, "as_dict", None)
    record = {
        "format": RECORD_FORMAT,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "config_file": config.filename,
        "protocol": getattr(protocol, "name", None) or config.get("protocol"),
        "protocol_settings": as_dict() if callable(as_dict) else None,
        "scores": scores,
        "metrics": metrics,
        "dataset": dataset,
        "model": type(model).__name__,
        "weights": fingerprints() if callable(fingerprints) else None,
        "checkpoint": checkpoint,
        "vocabulary": {
            "name": getattr(vocabulary, "name", None),
            "digest": getattr(vocabulary, "digest", None),
        }
        if vocabulary is not None
        else None,
        "seed": seed,
        "versions": package_versions(),
        "device": _device(model),
        "seconds": seconds,
        "resumed_images": resumed_images,
        "config": config.to_dict(),
    }
    return to_plain(record)


def _device(model: nn.Module) -> str:
    tensor = next(iter(model.parameters()), None)
    device = tensor.device if tensor is not None else torch.device("cpu")
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({platform.machine()})"
