"""Reading checkpoints without running code from them, and putting them into modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from ovseg.encoders.changes import changed_file
from ovseg.encoders.torchscript import is_torchscript, read_torchscript
from ovseg.errors import (
    CheckpointMismatchError,
    UnsafeCheckpointError,
    WeightsError,
    WeightsNotFoundError,
)
from ovseg.utils.checkpoints import load_checkpoint

__all__ = ["apply_state_dict", "describe_state", "load_state_dict"]

_NESTS = ("state_dict", "model_state_dict", "model", "teacher")
_NAMED = 4  # names of tensors shown in one message


def load_state_dict(
    path: str | Path,
    keep: Callable[[str], bool] | None = None,
    nests: Sequence[str] = (),
) -> dict[str, torch.Tensor]:
    """Tensors of a checkpoint by name, on the CPU, without running code from the file.

    Reads safetensors, PyTorch checkpoints (``torch.load`` with ``weights_only=True``) and
    TorchScript archives (their tensors only); the content decides, not the file's name. The usual
    nestings (``state_dict``, ``model``, ``teacher``) are opened and the prefix ``module.`` of
    distributed training is removed.

    A safetensors file may hold only what a training changed of another file beside it (see
    `ovseg.encoders.changes`): the other's tensors are then read as well.

    Args:
        path: The file.
        keep: Which names to read, after unwrapping; all when not given. Others are never read
            from safetensors and TorchScript files.
        nests: Further names of nestings to open.

    Raises:
        WeightsNotFoundError: No such file, or that whose changes it holds is not beside it.
        UnsafeCheckpointError: A pickle that would run code; nothing of it was run.
        WeightsError: Damaged, or not a checkpoint at all; or changes of other weights than those
            beside it.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsNotFoundError(f"no file of weights at {path}: check the path.")
    if _is_safetensors(path):
        state = _read_safetensors(path, keep)
    elif is_torchscript(path):
        state = read_torchscript(path, keep)
    else:
        state = _unwrap(_read_torch(path), path, (*_NESTS, *nests))
    state = _strip_module(state)
    if keep is not None:
        state = {name: tensor for name, tensor in state.items() if keep(name)}
    return state


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(9)
    length = int.from_bytes(start[:8], "little")
    return len(start) == 9 and start[8:] == b"{" and length <= path.stat().st_size - 8


def _read_safetensors(path: Path, keep: Callable[[str], bool] | None) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as stream:
            meta = stream.metadata() or {}
            # Copied: the reader maps the file, and weights must not change when the file does.
            state = {
                name: stream.get_tensor(name).clone()
                for name in stream.keys()
                if keep is None or keep(name.removeprefix("module."))
            }
    except SafetensorError as error:
        raise WeightsError(f"{path} is a damaged safetensors file: {error}.") from error
    if "changes" not in meta:
        return state
    return {**_read_safetensors(changed_file(path, meta), keep), **state}


def _read_torch(path: Path) -> object:
    try:
        return load_checkpoint(path)
    except UnsafeCheckpointError:
        raise
    except WeightsError as error:
        raise WeightsError(
            f"{path} is not a checkpoint, or a damaged one: {_head(path)}."
        ) from error


def _head(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(40)
    if not start:
        return "the file is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, not the file it points to"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "it is a web page"
    return f"{path.stat().st_size} bytes that start with {start[:8]!r}"


def _unwrap(loaded: object, path: Path, nests: Sequence[str]) -> dict[str, torch.Tensor]:
    while isinstance(loaded, Mapping):
        tensors = {k: v for k, v in loaded.items() if isinstance(v, torch.Tensor)}
        inner = next((loaded[k] for k in nests if isinstance(loaded.get(k), Mapping)), None)
        if inner is None:
            if tensors:
                return tensors
            break
        loaded = inner
    raise WeightsError(f"{path} holds no tensors by name: it is not a checkpoint of a model.")


def _strip_module(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if state and all(name.startswith("module.") for name in state):
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return state


def apply_state_dict(
    module: nn.Module,
    state: Mapping[str, torch.Tensor],
    *,
    name: str,
    origin: str | Path,
    strict: bool = True,
) -> None:
    """Put tensors into a module, or say exactly what does not fit.

    The tensors themselves become the parameters (nothing is copied), so a module built on the meta
    device becomes real by this call.

    Args:
        module: Where to.
        state: Tensors by the module's own names.
        name: What the module is, for the message.
        origin: Where the tensors come from, for the message.
        strict: Refuse missing and unexpected names. Shapes must fit in any case.

    Raises:
        CheckpointMismatchError: Names or shapes do not fit; nothing was changed.
    """
    expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    reshaped = [
        f"{key} is {tuple(state[key].shape)}, not {shape}"
        for key, shape in expected.items()
        if key in state and tuple(state[key].shape) != shape
    ]
    faults = []
    if strict or len(missing) == len(expected):
        faults += _count("missing", missing)
    if strict:
        faults += _count("unexpected", unexpected)
    faults += _count("of another shape", reshaped)
    if faults:
        raise CheckpointMismatchError(
            f"{origin} does not fit {name}: {'; '.join(faults)}. "
            f"The file looks like {describe_state(state)}."
        )
    fitting = {key: value for key, value in state.items() if key in expected}
    module.load_state_dict(fitting, strict=False, assign=True)


def _count(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return [f"{len(names)} tensor{'s' if len(names) > 1 else ''} {what} ({shown})"]


def describe_state(state: Mapping[str, torch.Tensor]) -> str:
    """A guess, in a few words, at the model a checkpoint belongs to."""
    if not state:
        return "an empty checkpoint"
    names = [key.removeprefix("visual.") for key in state]
    shapes = {key.removeprefix("visual."): tuple(value.shape) for key, value in state.items()}

    def blocks(pattern: str) -> int:
        return len({m.group(1) for key in names if (m := re.match(pattern, key))})

    if any(key.startswith("mask_decoder.") for key in names):
        depth = blocks(r"image_encoder\.blocks\.(\d+)\.")
        return f"a Segment Anything model with {depth} image blocks"
    if "conv1.weight" in shapes and (depth := blocks(r"transformer\.resblocks\.(\d+)\.")):
        width, _, patch, _ = shapes["conv1.weight"]
        rows = shapes.get("positional_embedding", (0,))[0]
        return f"a CLIP ViT: width {width}, {depth} blocks, patch {patch}, {rows} image tokens"
    if "attnpool.positional_embedding" in shapes:
        return "a CLIP ResNet image tower"
    if any(key.startswith(("trunk.stages.", "stages.")) for key in names):
        return "a ConvNeXt"
    if any(".attn.qkv." in key for key in names):
        depth = blocks(r"(?:.*\.)?blocks\.(\d+)\.")
        return f"a vision transformer as in timm or DINO with {depth} blocks"
    if "token_embedding.weight" in shapes:
        return "a CLIP text tower"
    if any(key.startswith(("backbone.", "decode_head.")) for key in names):
        return "an MMSegmentation model"
    return f"a model whose first tensors are {', '.join(names[:3])}"
