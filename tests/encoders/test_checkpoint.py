from __future__ import annotations

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ovseg.encoders.checkpoint import (
    apply_state_dict,
    describe_state,
    load_state_dict,
)
from ovseg.errors import (
    CheckpointMismatchError,
    UnsafeCheckpointError,
    WeightsError,
    WeightsNotFoundError,
)

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(1, dtype=torch.float16)}


def _same(state):
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)
    assert state["b"].dtype == torch.float16


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE},
        {"model_state_dict": STATE},
        {"teacher": STATE, "student": {}},
        {"state_dict": {"model": STATE}},
        {f"module.{name}": tensor for name, tensor in STATE.items()},
        {"state_dict": {f"module.{name}": tensor for name, tensor in STATE.items()}},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_nestings_of_torch_checkpoints(tmp_path, content, zipped):
    torch.save(content, tmp_path / "c.pt", _use_new_zipfile_serialization=zipped)
    _same(load_state_dict(tmp_path / "c.pt"))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_safetensors_whatever_the_name(tmp_path, prefix):
    save_file({prefix + name: tensor for name, tensor in STATE.items()}, tmp_path / "c.bin")
    _same(load_state_dict(tmp_path / "c.bin"))
    assert list(load_state_dict(tmp_path / "c.bin", keep=lambda name: name == "b")) == ["b"]


def test_weights_do_not_change_with_their_file(tmp_path):
    path = tmp_path / "c.safetensors"
    save_file({"a": torch.ones(1000)}, path)
    state = load_state_dict(path)
    with path.open("r+b") as stream:
        stream.seek(-4000, 2)
        stream.write(bytes(4000))
    assert state["a"].sum() == 1000


def test_keep_selects_after_unwrapping(tmp_path):
    torch.save({"state_dict": {f"module.{k}": v for k, v in STATE.items()}}, tmp_path / "c.pt")
    assert list(load_state_dict(tmp_path / "c.pt", keep=lambda name: name == "b")) == ["b"]


class _Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["zip", "legacy", "bare pickle", "bare pickle 0"])
def test_a_pickle_that_runs_code_is_refused_and_runs_none(tmp_path, kind):
    proof = tmp_path / "code_was_run"
    content = {"state_dict": STATE, "extra": _Malicious(proof)}
    path = tmp_path / "c.pt"
    if kind.startswith("bare"):
        path.write_bytes(pickle.dumps(content["extra"], protocol=0 if "0" in kind else 2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(UnsafeCheckpointError, match=r"c\.pt was not loaded.*mkdir"):
        load_state_dict(path)
    assert not proof.exists()
    if kind == "zip":  # the same file does run code when it is trusted: the test can fail
        torch.load(path, weights_only=False)
        assert proof.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html></html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS pointer"),
        (b"something else altogether", "25 bytes that start with"),
        (b"PK\x03\x04" + b"0" * 100, "104 bytes that start with"),
        (b"\x80\x02", "2 bytes that start with"),
    ],
)
def test_not_a_checkpoint(tmp_path, content, says):
    path = tmp_path / "c.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=says) as caught:
        load_state_dict(path)
    assert not isinstance(caught.value, UnsafeCheckpointError)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_truncated(tmp_path, suffix):
    path = tmp_path / f"c.{suffix}"
    (torch.save if suffix == "pt" else save_file)(STATE, path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsError, match="damaged"):
        load_state_dict(path)


def test_no_tensors_and_no_file(tmp_path):
    torch.save({"epoch": 1}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match="no tensors by name"):
        load_state_dict(tmp_path / "c.pt")
    with pytest.raises(WeightsNotFoundError, match=r"missing\.pt"):
        load_state_dict(tmp_path / "missing.pt")


def test_apply_fills_a_meta_module():
    with torch.device("meta"):
        module = nn.Linear(3, 2)
    state = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}
    apply_state_dict(module, state, name="a layer", origin="f.pt")
    assert torch.equal(module(torch.ones(1, 3)), torch.full((1, 2), 3.0))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"weight": torch.ones(2, 3)}, r"1 tensor missing \(bias\)"),
        ({}, r"2 tensors missing \(weight, bias\)"),
        (
            {"weight": torch.ones(2, 3), "bias": torch.ones(2), "c": torch.ones(1)},
            r"1 tensor unexpected \(c\)",
        ),
        (
            {"weight": torch.ones(2, 4), "bias": torch.ones(2)},
            r"weight is \(2, 4\), not \(2, 3\)",
        ),
    ],
)
def test_apply_refuses_what_does_not_fit(state, says):
    module = nn.Linear(3, 2)
    before = module.weight.clone()
    with pytest.raises(CheckpointMismatchError, match=says) as caught:
        apply_state_dict(module, state, name="a layer", origin="f.pt")
    assert str(caught.value).startswith("f.pt does not fit a layer: ")
    assert torch.equal(module.weight, before)


def test_apply_not_strict_still_checks_shapes_and_sense():
    module = nn.Linear(3, 2)
    apply_state_dict(module, {"bias": torch.ones(2)}, name="l", origin="f", strict=False)
    assert torch.equal(module.bias, torch.ones(2))
    for state in ({"bias": torch.ones(3)}, {"other": torch.ones(1)}):
        with pytest.raises(CheckpointMismatchError):
            apply_state_dict(module, state, name="l", origin="f", strict=False)


@pytest.mark.parametrize(
    ("names", "guess"),
    [
        ({}, "an empty checkpoint"),
        ({"image_encoder.blocks.1.a": 1, "mask_decoder.b": 1}, "Segment Anything .* 1 image block"),
        ({"visual.trunk.stages.0.a": 1}, "a ConvNeXt"),
        ({"blocks.0.attn.qkv.weight": 1, "blocks.1.attn.qkv.weight": 1}, "timm or DINO with 2"),
        ({"token_embedding.weight": 1}, "a CLIP text tower"),
        ({"backbone.x": 1}, "an MMSegmentation model"),
        ({"x": 1, "y": 1}, "first tensors are x, y"),
    ],
)
def test_describe(names, guess):
    import re

    assert re.search(guess, describe_state({name: torch.ones(1) for name in names}))


def test_describe_clip(tiny_clip):
    _, model, _ = tiny_clip()
    guess = describe_state(model.state_dict())
    assert guess == "a CLIP ViT: width 64, 3 blocks, patch 16, 17 image tokens"
