"""DINO's weights: where timm says they lie, and how the authors' own files fit timm's names."""

from __future__ import annotations

from typing import Any

import timm
import timm.models.eva
import timm.models.vision_transformer
from torch import Tensor
from torch.nn import Module

from ovseg.encoders.sources import NANO_TAG, nano_source
from ovseg.encoders.weights import WeightSource
from ovseg.errors import CheckpointMismatchError, WeightsNotFoundError

__all__ = ["adapt_state_dict", "dino_source", "tag_config"]


def tag_config(model: str, tag: str | None) -> Any | None:
    """Give what timm records of a model's weights (mean, std, where they lie), or None."""
    if tag is None:
        return None
    try:
        return timm.get_pretrained_cfg(f"{model}.{tag}", allow_unregistered=False)
    except RuntimeError:  # timm's way to say that it has no such model or tag
        return None


def dino_source(model: str, tag: str) -> WeightSource:
    """Find the weights a tag of a timm model stands for.

    Args:
        model: timm's name without tag.
        tag: timm's tag, or ``"ovseg"`` for weights packaged with this library.

    Raises:
        WeightsNotFoundError: timm has no such tag; the error names those of the model.
    """
    if tag == NANO_TAG:
        return nano_source(model)
    config = tag_config(model, tag)
    if config is None or not config.has_weights:
        known = [n.partition(".")[2] for n in timm.list_models(f"{model}.*", pretrained=True)]
        raise WeightsNotFoundError(
            f"timm {timm.__version__} has no weights {tag!r} for {model!r}: known are "
            f"{', '.join(known) or 'none'}."
        )
    name = f"{model}/{tag}"
    if config.hf_hub_id:
        return WeightSource(
            name=name,
            hub_repo=config.hf_hub_id,
            hub_files=("model.safetensors", "pytorch_model.bin"),
            licence=config.license,
        )
    return WeightSource(name=name, url=config.url, licence=config.license)


def adapt_state_dict(state: dict[str, Tensor], model: Module, source: str) -> dict[str, Tensor]:
    """Rename, split and drop tensors until a checkpoint fits a timm ViT built without head.

    Understood are timm's own files and those of facebookresearch's ``dino``, ``dinov2`` and
    ``dinov3``; timm's converters do most of the work.

    Args:
        state: Tensors by name.
        model: The timm ``VisionTransformer`` or ``Eva`` they are for.
        source: Where they came from, for the error.

    Returns:
        Tensors by timm's names, to be loaded strictly.

    Raises:
        CheckpointMismatchError: The checkpoint has biases of q, k, v where the model has none.
    """
    for prefix in ("module.", "backbone."):
        if any(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    # Projection heads of self-distillation, and classifiers, are not part of the encoder.
    state = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    if isinstance(model, timm.models.eva.Eva):
        if "storage_tokens" in state:
            state = _without_empty_biases(state, model, source)
        return timm.models.eva.checkpoint_filter_fn(state, model)
    return timm.models.vision_transformer.checkpoint_filter_fn(state, model)


def _without_empty_biases(
    state: dict[str, Tensor], model: Module, source: str
) -> dict[str, Tensor]:
    """Drop DINOv3's q, k, v biases for a model without them; they were trained to zero."""
    names = dict(model.named_parameters())
    if any(name.endswith("q_bias") for name in names):
        return state
    biases = {name for name in state if name.endswith("attn.qkv.bias")}
    # The authors keep k's bias masked, so its stored value (it may be NaN) means nothing.
    for name in biases:
        q, _, v = state[name].chunk(3)
        if q.any() or v.any():
            raise CheckpointMismatchError(
                f"{source} has non-zero biases of q and v ({name}), which this timm model lacks; "
                "use the variant of the model whose name ends in '_qkvb'."
            )
    return {name: tensor for name, tensor in state.items() if name not in biases}
