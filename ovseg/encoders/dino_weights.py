"""DINO's weights: what timm records of them, and how the authors' own files fit timm's names."""

from __future__ import annotations

from typing import Any

import timm
import timm.models.eva
import timm.models.vision_transformer
from torch import Tensor
from torch.nn import Module

from ovseg.errors import CheckpointMismatchError

__all__ = ["adapt_state_dict", "tag_config"]


def tag_config(model: str, tag: str | None) -> Any | None:
    """Give what timm records of a model's weights (mean, std, ...); None where it knows none."""
    if tag is None:
        return None
    try:
        return timm.get_pretrained_cfg(f"{model}.{tag}", allow_unregistered=False)
    except RuntimeError:  # timm's way to say that it has no such model or tag
        return None


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
        CheckpointMismatchError: The checkpoint's patches or table of positions have another size,
            which timm would stretch silently; or it has biases of q, k, v where the model has none.
    """
    for prefix in ("module.", "backbone."):
        if any(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    # Projection heads of self-distillation, and classifiers, are not part of the encoder.
    state = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    _check_sizes(state, model, source)
    if isinstance(model, timm.models.eva.Eva):
        if "storage_tokens" in state:
            state = _without_empty_biases(state, model, source)
        return timm.models.eva.checkpoint_filter_fn(state, model)
    return timm.models.vision_transformer.checkpoint_filter_fn(state, model)


def _check_sizes(state: dict[str, Tensor], model: Module, source: str) -> None:
    weight, patch = state.get("patch_embed.proj.weight"), tuple(model.patch_embed.patch_size)
    if weight is not None and not hasattr(model.patch_embed.proj, "weight"):
        raise CheckpointMismatchError(
            f"{source} has patches of one convolution, the model of several (its "
            "patch_embed.proj.0, ...); choose the model of these weights."
        )
    if weight is not None and weight.shape[-2:] != patch:
        raise CheckpointMismatchError(
            f"{source} has patches of {tuple(weight.shape[-2:])} pixels, the model of {patch}; "
            "choose the model of that patch."
        )
    table = state.get("pos_embed")
    if table is None or model.pos_embed is None:
        return
    # facebookresearch's DINOv2 keeps a row for the class token that timm adds to the token.
    rows = table.shape[1] - ("register_tokens" in state)
    if rows != model.pos_embed.shape[1]:
        raise CheckpointMismatchError(
            f"{source} has a table of {rows} positions, the model of {model.pos_embed.shape[1]}; "
            "build the model with the img_size the weights were trained at "
            "(overrides={'img_size': ...})."
        )


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
