"""Checkpoints of FC-CLIP's authors (detectron2) under our names, every key accounted for.

A checkpoint holds the trained head, the whole frozen CLIP, and a buffer of the loss. The head is
renamed, the other two are dropped, and anything else is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from ovseg.errors import CheckpointMismatchError

#: The frozen CLIP, which has a file of its own, and what a finished model has no use for.
FROZEN = ("backbone.",)
UNUSED = ("criterion.empty_weight",)

_ENDS = r"(weight|bias)"
_PIXEL = r"sem_seg_head\.pixel_decoder\."
_ENCODER = _PIXEL + r"transformer\.encoder\.layers\.(\d+)\."
_DECODER = r"sem_seg_head\.predictor\."
_RENAMED: tuple[tuple[str, str], ...] = (
    (_PIXEL + r"input_proj\.0\.([01])\." + _ENDS, r"pixel_decoder.project.res5.\1.\2"),
    (_PIXEL + r"input_proj\.1\.([01])\." + _ENDS, r"pixel_decoder.project.res4.\1.\2"),
    (_PIXEL + r"input_proj\.2\.([01])\." + _ENDS, r"pixel_decoder.project.res3.\1.\2"),
    (_PIXEL + r"transformer\.level_embed", r"pixel_decoder.level"),
    (
        _ENCODER + r"self_attn\.sampling_offsets\." + _ENDS,
        r"pixel_decoder.layers.\1.attention.offsets.\2",
    ),
    (
        _ENCODER + r"self_attn\.attention_weights\." + _ENDS,
        r"pixel_decoder.layers.\1.attention.weights.\2",
    ),
    (_ENCODER + r"self_attn\.value_proj\." + _ENDS, r"pixel_decoder.layers.\1.attention.value.\2"),
    (
        _ENCODER + r"self_attn\.output_proj\." + _ENDS,
        r"pixel_decoder.layers.\1.attention.output.\2",
    ),
    (_ENCODER + r"(norm[12]|linear[12])\." + _ENDS, r"pixel_decoder.layers.\1.\2.\3"),
    (_PIXEL + r"adapter_1\.weight", r"pixel_decoder.lateral.0.weight"),
    (_PIXEL + r"adapter_1\.norm\." + _ENDS, r"pixel_decoder.lateral.1.\1"),
    (_PIXEL + r"layer_1\.weight", r"pixel_decoder.smooth.0.weight"),
    (_PIXEL + r"layer_1\.norm\." + _ENDS, r"pixel_decoder.smooth.1.\1"),
    (_PIXEL + r"mask_features\." + _ENDS, r"pixel_decoder.mask_features.\1"),
    (_DECODER + r"query_feat\.weight", r"decoder.query"),
    (_DECODER + r"query_embed\.weight", r"decoder.place"),
    (_DECODER + r"level_embed\.weight", r"decoder.level"),
    (_DECODER + r"input_proj\.([012])\." + _ENDS, r"decoder.project.\1.\2"),
    (
        _DECODER + r"transformer_cross_attention_layers\.(\d+)\.multihead_attn\.in_proj_" + _ENDS,
        r"decoder.layers.\1.cross.qkv.\2",
    ),
    (
        _DECODER + r"transformer_cross_attention_layers\.(\d+)\.multihead_attn\.out_proj\." + _ENDS,
        r"decoder.layers.\1.cross.output.\2",
    ),
    (
        _DECODER + r"transformer_cross_attention_layers\.(\d+)\.norm\." + _ENDS,
        r"decoder.layers.\1.cross_norm.\2",
    ),
    (
        _DECODER + r"transformer_self_attention_layers\.(\d+)\.self_attn\.in_proj_" + _ENDS,
        r"decoder.layers.\1.own.qkv.\2",
    ),
    (
        _DECODER + r"transformer_self_attention_layers\.(\d+)\.self_attn\.out_proj\." + _ENDS,
        r"decoder.layers.\1.own.output.\2",
    ),
    (
        _DECODER + r"transformer_self_attention_layers\.(\d+)\.norm\." + _ENDS,
        r"decoder.layers.\1.own_norm.\2",
    ),
    (
        _DECODER + r"transformer_ffn_layers\.(\d+)\.(linear[12]|norm)\." + _ENDS,
        r"decoder.layers.\1.\2.\3",
    ),
    (_DECODER + r"decoder_norm\." + _ENDS, r"decoder.norm.\1"),
    (_DECODER + r"mask_embed\.layers\.([012])\." + _ENDS, r"decoder.mask_embed.layers.\1.\2"),
    (_DECODER + r"_mask_pooling_proj\.([01])\." + _ENDS, r"decoder.classifier.pooled.\1.\2"),
    (
        _DECODER + r"class_embed\.layers\.([012])\." + _ENDS,
        r"decoder.classifier.embed.layers.\1.\2",
    ),
    (_DECODER + r"logit_scale", r"decoder.classifier.logit_scale"),
    (r"void_embedding\.weight", r"decoder.classifier.void"),
)


@dataclass(frozen=True)
class KeyReport:
    """What became of the tensors of a checkpoint: names as they were, in its order."""

    renamed: tuple[str, ...]
    frozen: tuple[str, ...]
    unused: tuple[str, ...]


def is_authors(names: Iterable[str]) -> bool:
    """Whether these are names of the authors' checkpoints."""
    return any(name.startswith(("sem_seg_head.", "void_embedding.")) for name in names)


def our_name(name: str) -> str | None:
    """Our name of a trained tensor of theirs; None where there is no such tensor."""
    for pattern, replacement in _RENAMED:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement)
    return None


def from_authors(
    state: Mapping[str, torch.Tensor], source: str
) -> tuple[dict[str, torch.Tensor], KeyReport]:
    """The trained tensors of a checkpoint of the authors' under our names, in float32.

    Args:
        state: all tensors of the checkpoint.
        source: where they come from, for the message.

    Raises:
        CheckpointMismatchError: a tensor is neither of the head, nor frozen, nor known as unused.
    """
    ours: dict[str, torch.Tensor] = {}
    renamed, frozen, unused, unknown = [], [], [], []
    for name, tensor in state.items():
        if name.startswith(FROZEN):
            frozen.append(name)
        elif name in UNUSED:
            unused.append(name)
        elif (own := our_name(name)) is not None:
            ours[own] = torch.as_tensor(tensor).float()
            renamed.append(name)
        else:
            unknown.append(name)
    if unknown or not ours:
        what = (
            f"{len(unknown)} tensors it has no place for (first: {unknown[0]})"
            if unknown
            else "no head"
        )
        raise CheckpointMismatchError(
            f"Checkpoint {source} is not one of FC-CLIP's authors: it holds {what}."
        )
    return ours, KeyReport(tuple(renamed), tuple(frozen), tuple(unused))
