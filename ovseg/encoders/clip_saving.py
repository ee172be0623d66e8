"""A trained image tower as a checkpoint of open_clip, loadable wherever CLIP is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from ovseg.encoders.clip_vit import CLIPViT
from ovseg.encoders.weights import fetch, load_state_dict
from ovseg.errors import ConfigError, SaveError

__all__ = ["blended", "clip_state", "save_clip"]

_VISUAL = "visual."


def blended(
    trained: Mapping[str, torch.Tensor], before: Mapping[str, torch.Tensor], weight: float
) -> dict[str, torch.Tensor]:
    """Weights between those before training and those behind it.

    Args:
        trained: State behind training.
        before: State before it, of the same names.
        weight: Share of the trained ones, 0 to 1; 1 takes them alone.

    Raises:
        ConfigError: ``weight`` is none, or the names differ.
    """
    if not 0 <= weight <= 1:
        raise ConfigError(f"the share of the trained weights must be from 0 to 1, got {weight}")
    if weight == 1:
        return dict(trained)
    if set(trained) != set(before):
        odd = sorted(set(trained) ^ set(before))[0]
        raise ConfigError(f"towers of two kinds cannot be blended: only one has {odd}")
    return {
        name: value * weight + before[name].to(value) * (1 - weight)
        if value.is_floating_point()
        else value
        for name, value in trained.items()
    }


def clip_state(
    tower: Mapping[str, torch.Tensor], encoder: CLIPViT | None = None
) -> dict[str, torch.Tensor]:
    """State of a whole CLIP with an image tower of its own.

    Args:
        tower: State of the image tower, as of `CLIPViT.visual`.
        encoder: What training started from; of its checkpoint everything but the image tower (the
            text tower, the logit scale) goes along. None, or one of random weights or of a file
            of the image tower alone, adds nothing.

    Returns:
        Tensors by open_clip's names, the image tower's with ``visual.`` in front.
    """
    beside: dict[str, torch.Tensor] = {}
    if encoder is not None and encoder.source is not None:
        whole = load_state_dict(fetch(encoder.source))
        if any(name.startswith(_VISUAL) for name in whole):
            beside = {k: v for k, v in whole.items() if not k.startswith(_VISUAL)}
    return {**beside, **{_VISUAL + name: value for name, value in tower.items()}}


def save_clip(
    path: str | Path, state: Mapping[str, torch.Tensor], meta: Mapping[str, str] | None = None
) -> None:
    """Write such a state whole or not at all, as safetensors.

    Raises:
        SaveError: It cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, part, metadata=dict(meta or {}))
        part.replace(path)
    except OSError as error:
        raise SaveError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
