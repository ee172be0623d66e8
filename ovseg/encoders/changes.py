"""Weights that hold only what a training changed of others that lie beside them.

A tower of which two blocks were trained on is then shipped as two blocks. The metadata of such a
safetensors file names the other file and its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from ovseg.encoders.digests import sha256_of
from ovseg.errors import CheckpointMismatchError, WeightsError, WeightsNotFoundError

__all__ = ["changed_file", "save_changes"]


def changed_file(path: Path, meta: Mapping[str, str]) -> Path:
    """The whole weights that a file of changes belongs to.

    Args:
        path: The file of changes.
        meta: Its metadata.

    Raises:
        WeightsNotFoundError: They are not beside it.
        WeightsError: What is there are others.
    """
    # By its name alone: no file of weights leads into another folder.
    whole = path.with_name(Path(meta["changes"]).name)
    if not whole.is_file():
        raise WeightsNotFoundError(
            f"{path} holds what was changed of {whole.name}, which is not beside it: put it there."
        )
    if sha256_of(whole) != meta.get("changes_sha256"):
        raise WeightsError(
            f"{path} holds what was changed of other weights than those of {whole}: put the file "
            "there that training began with, or train anew."
        )
    return whole


def save_changes(
    path: str | Path, state: Mapping[str, torch.Tensor], whole: str | Path, **meta: str
) -> None:
    """Write those tensors that differ from a safetensors file, in its precision.

    `ovseg.encoders.checkpoint.load_state_dict` reads the result where the whole file lies beside.

    Args:
        path: A file ending in .safetensors.
        state: All tensors, by the names of the whole file.
        whole: What training began with.
        **meta: Said in the file.

    Raises:
        CheckpointMismatchError: The names differ.
    """
    before = load_file(whole)
    if odd := sorted(set(state) ^ set(before)):
        raise CheckpointMismatchError(f"{whole} and what was trained from it differ in {odd[0]}.")
    after = {name: value.to(before[name].dtype) for name, value in state.items()}
    changed = {k: v.contiguous() for k, v in after.items() if not torch.equal(v, before[k])}
    named = {"changes": Path(whole).name, "changes_sha256": sha256_of(whole)}
    save_file(changed, path, metadata={**meta, **named})
