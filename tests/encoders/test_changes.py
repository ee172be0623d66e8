"""Files that hold only what a training changed."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from ovseg.encoders.changes import save_changes
from ovseg.encoders.checkpoint import load_state_dict
from ovseg.errors import CheckpointMismatchError, WeightsError, WeightsNotFoundError

BEFORE = {"a": torch.arange(3.0).half(), "b": torch.ones(2, 2), "scale": torch.tensor(4.6)}
AFTER = {**BEFORE, "b": torch.full((2, 2), 0.5), "a": BEFORE["a"].float()}


@pytest.fixture
def files(tmp_path):
    whole, changes = tmp_path / "whole.safetensors", tmp_path / "tuned.safetensors"
    save_file(BEFORE, whole)
    save_changes(changes, AFTER, whole, trained_by="a test")
    return whole, changes


def test_only_what_changed_is_written(files):
    assert set(load_file(files[1])) == {"b"}


@pytest.mark.parametrize("kept", [None, "a", "b"])
def test_what_is_read_is_everything(files, kept):
    state = load_state_dict(files[1], keep=None if kept is None else lambda name: name == kept)
    assert set(state) == (set(AFTER) if kept is None else {kept})
    for name, value in state.items():
        assert value.dtype == BEFORE[name].dtype
        torch.testing.assert_close(value, AFTER[name].to(value.dtype))


def test_without_the_whole_file(files):
    files[0].unlink()
    with pytest.raises(WeightsNotFoundError, match=r"changed of whole\.safetensors, which is not"):
        load_state_dict(files[1])


def test_beside_other_weights(files):
    save_file({**BEFORE, "a": BEFORE["a"] + 1}, files[0])
    with pytest.raises(WeightsError, match="changed of other weights"):
        load_state_dict(files[1])


def test_no_other_folder_is_read(files, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    meta = {"changes": "../whole.safetensors", "changes_sha256": "0"}
    save_file({"b": AFTER["b"]}, inner / "tuned.safetensors", metadata=meta)
    with pytest.raises(WeightsNotFoundError):
        load_state_dict(inner / "tuned.safetensors")


def test_other_names(files):
    with pytest.raises(CheckpointMismatchError, match="differ in c"):
        save_changes(files[1], {**AFTER, "c": torch.ones(1)}, files[0])
