"""One tower of a CLIP model, built and filled without its other half."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from open_clip import CLIPTextCfg, CLIPVisionCfg
from open_clip.model import _build_text_tower, _build_vision_tower
from torch import nn

from ovseg.encoders.clip_architectures import ClipArchitecture, get_architecture
from ovseg.encoders.sources import clip_source
from ovseg.encoders.weights import (
    WeightSource,
    apply_state_dict,
    choose_source,
    fetch,
    load_state_dict,
)
from ovseg.errors import ConfigError

__all__ = ["build_image_tower", "build_text_tower", "read_logit_scale", "resolve"]

_BESIDE = ("logit_scale", "logit_bias", "input_resolution", "context_length", "vocab_size")
_RANDOM_LOGIT_SCALE = 1 / 0.07  # where CLIP training starts


def resolve(
    model: str | Mapping,
    pretrained: str | None,
    weights: str | Path | None,
    quick_gelu: bool | None,
) -> tuple[ClipArchitecture, WeightSource | None]:
    """The architecture, as its weights were trained, and where these weights are.

    Raises:
        ConfigError: Unknown architecture.
        WeightsNotFoundError: Unknown tag and no file given.
    """
    plain = get_architecture(model)
    source = choose_source(plain.name, pretrained, weights, clip_source)
    architecture = plain.for_tag(pretrained)
    if quick_gelu is not None:
        architecture = ClipArchitecture(**{**architecture.__dict__, "quick_gelu": quick_gelu})
    return architecture, source


def build_image_tower(architecture: ClipArchitecture, source: WeightSource | None) -> nn.Module:
    """The image tower alone, with the weights of ``source`` or random ones.

    Raises:
        ConfigError: The description has a key this open_clip does not know.
        WeightsError: See :func:`ovseg.encoders.weights.fetch` and ``load_state_dict``.
    """
    config = _config(CLIPVisionCfg, architecture.vision, architecture.name)
    config.timm_model_pretrained = False

    def build() -> nn.Module:
        return _build_vision_tower(architecture.embed_dim, config, architecture.quick_gelu)

    return _fill(build, source, _image_state, f"the image tower of {architecture.name}")


def build_text_tower(architecture: ClipArchitecture, source: WeightSource | None) -> nn.Module:
    """The text tower alone, with the weights of ``source`` or random ones.

    Raises:
        ConfigError: The text tower is a Hugging Face model, or has an unknown key.
        WeightsError: See :func:`ovseg.encoders.weights.fetch` and ``load_state_dict``.
    """
    if architecture.text.get("hf_model_name"):
        raise ConfigError(
            f"the text tower of {architecture.name} is the Hugging Face model "
            f"{architecture.text['hf_model_name']!r}, which is not supported: choose a CLIP with "
            "a text tower of its own, such as ViT-B-16."
        )
    config = _config(CLIPTextCfg, architecture.text, architecture.name)

    def build() -> nn.Module:
        return _build_text_tower(architecture.embed_dim, config, architecture.quick_gelu)

    tower = _fill(build, source, _text_state, f"the text tower of {architecture.name}")
    if tower.attn_mask is not None and tower.attn_mask.is_meta:
        tower.attn_mask = tower.build_causal_mask()  # computed, and so in no checkpoint
    return tower


def read_logit_scale(source: WeightSource | None) -> float:
    """The factor cosine similarities are multiplied with before the softmax.

    The trained value, 1 / 0.07 (where training starts) for random weights or a checkpoint without.
    """
    if source is None:
        return _RANDOM_LOGIT_SCALE
    state = load_state_dict(fetch(source), keep=lambda name: name == "logit_scale")
    value = state.get("logit_scale")
    return math.exp(value.float().item()) if value is not None else _RANDOM_LOGIT_SCALE


def _config(kind: type, values: Mapping, name: str):
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(
            f"the description of CLIP model {name!r} does not fit the installed open_clip: {error}."
        ) from error


def _fill(
    build: Callable[[], nn.Module],
    source: WeightSource | None,
    select: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]],
    name: str,
) -> nn.Module:
    if source is None:
        return build()
    path = fetch(source)  # before building, so that a missing file costs nothing
    state = select(load_state_dict(path, keep=_is_not_beside))
    with torch.device("meta"):
        tower = build()
    if _computes_buffers(tower):
        tower = build()
    apply_state_dict(tower, state, name=name, origin=path)
    return tower


def _computes_buffers(tower: nn.Module) -> bool:
    """Whether a tower has buffers that no checkpoint holds, as rotary positions (EVA02)."""
    saved = tower.state_dict()
    return any(name not in saved for name, _ in tower.named_buffers())


def _is_not_beside(name: str) -> bool:
    # Attention masks are plain attributes in OpenAI's archives and computed everywhere else.
    return name not in _BESIDE and not name.endswith("attn_mask")


def _image_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names of the image tower; a checkpoint of the image tower alone has no prefix."""
    inner = {
        name.removeprefix("visual."): tensor
        for name, tensor in state.items()
        if name.startswith("visual.")
    }
    return inner or state


def _text_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names of the text tower, which CLIP keeps at the top and newer models under ``text.``."""
    inner = {
        name.removeprefix("text."): tensor
        for name, tensor in state.items()
        if name.startswith("text.")
    }
    if inner:
        return inner
    return {name: tensor for name, tensor in state.items() if not name.startswith("visual.")}
