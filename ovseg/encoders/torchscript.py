"""Tensors of a TorchScript archive, read without running what is in it.

OpenAI published CLIP as TorchScript archives: a zip of raw storages, source code, and a pickle that
says which storage is which attribute of which module. ``torch.jit.load`` compiles the code and runs
``__setstate__`` methods found in it. Only the tensors are wanted here, so the pickle is read with
an unpickler that knows tensors, storages and plain containers, makes an inert holder of every
scripted class, and refuses everything else.
"""

from __future__ import annotations

import collections
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

from ovseg.errors import UnsafeCheckpointError, WeightsError

__all__ = ["is_torchscript", "read_torchscript"]

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class _Holder:
    """Stands for an object of a scripted class: keeps its attributes, does nothing."""

    def __setstate__(self, state: object) -> None:
        self.attributes = state if isinstance(state, dict) else {}


class _LazyTensor:
    """A tensor not read yet."""

    def __init__(self, storage: tuple, offset: int, size: tuple, stride: tuple, *_: object) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride


def _first(value: object, *_: object) -> object:
    return value


_ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _LazyTensor,
    ("torch.jit._pickle", "restore_type_tag"): _first,
    ("torch.jit._pickle", "build_intlist"): _first,
    ("torch.jit._pickle", "build_doublelist"): _first,
    ("torch.jit._pickle", "build_boollist"): _first,
    ("torch.jit._pickle", "build_tensorlist"): _first,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Holder
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise UnsafeCheckpointError(f"it refers to {module}.{name}")

    def persistent_load(self, pid: tuple) -> tuple:
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise UnsafeCheckpointError(f"it holds an unknown kind of storage {kind!r}")
        return dtype, str(key), int(count)


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive (a zip with code beside its pickle)."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        parts = {name.split("/", 1)[-1].split("/")[0] for name in archive.namelist()}
    return {"data.pkl", "code"} <= parts


def read_torchscript(
    path: Path, keep: Callable[[str], bool] | None = None
) -> dict[str, torch.Tensor]:
    """Tensors of a TorchScript archive by their dotted names; no code of it is run.

    Besides parameters and buffers this includes tensors that are plain attributes of a module.

    Args:
        path: The archive.
        keep: Which names to read; all when not given.

    Raises:
        UnsafeCheckpointError: Its pickle refers to anything but tensors and scripted classes.
        WeightsError: The archive is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if n.split("/", 1)[-1] == "data.pkl")
            root = name[: -len("data.pkl")]
            with archive.open(name) as stream:
                tree = _Unpickler(stream).load()
            storages: dict[str, torch.Tensor] = {}
            tensors = {}
            for key, lazy in _walk(tree, ""):
                if keep is None or keep(key):
                    tensors[key] = _materialise(archive, root, lazy, storages)
    except UnsafeCheckpointError as error:
        raise UnsafeCheckpointError(
            f"{path} was not loaded, because {error}: only tensors are read from TorchScript "
            "archives. Save its state_dict as safetensors on a machine that trusts it."
        ) from None
    except Exception as error:  # a reader of arbitrary bytes fails in every way there is
        raise WeightsError(f"{path} is a damaged TorchScript archive: {error}") from error
    return tensors


def _walk(node: object, prefix: str):
    if isinstance(node, _Holder):
        for key, value in getattr(node, "attributes", {}).items():
            yield from _walk(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(node, _LazyTensor):
        yield prefix, node


def _materialise(
    archive: zipfile.ZipFile, root: str, lazy: _LazyTensor, storages: dict[str, torch.Tensor]
) -> torch.Tensor:
    dtype, key, count = lazy.storage
    if key not in storages:
        raw = bytearray(archive.read(f"{root}data/{key}"))
        storages[key] = torch.frombuffer(raw, dtype=dtype, count=count) if count else None
    flat = storages[key]
    if flat is None:
        return torch.empty(lazy.size, dtype=dtype)
    return flat.as_strided(lazy.size, lazy.stride, lazy.offset)
