from __future__ import annotations

import pickle
import warnings
import zipfile

import pytest
import torch
from torch import nn

from ovseg.encoders.checkpoint import load_state_dict
from ovseg.encoders.torchscript import is_torchscript, read_torchscript
from ovseg.errors import UnsafeCheckpointError, WeightsError


class _Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Parameter(torch.randn(4, 3).half())
        self.shared = nn.Parameter(torch.randn(6)[2:5])  # an offset into its storage
        self.register_buffer("count", torch.arange(3))
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(x) + self.shared


class _Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.visual = _Inner()
        self.stack = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        self.logit_scale = nn.Parameter(torch.tensor(2.5))
        self.turned = nn.Parameter(torch.randn(2, 5).t())
        self.empty = nn.Parameter(torch.empty(0, 4))

    def forward(self, x):
        return self.stack(self.visual(x))


@pytest.fixture
def archive(tmp_path):
    torch.manual_seed(0)
    model = _Outer().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(model, torch.ones(2, 3)).save(str(tmp_path / "m.pt"))
    return model, tmp_path / "m.pt"


def test_tensors_without_running_it(archive):
    model, path = archive
    assert is_torchscript(path)
    state = load_state_dict(path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(state[name], tensor), name
        assert state[name].dtype == tensor.dtype


def test_keep(archive):
    _, path = archive
    assert list(load_state_dict(path, keep=lambda n: n == "logit_scale")) == ["logit_scale"]


def test_torch_checkpoints_are_not_torchscript(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "c.pt")
    (tmp_path / "other").write_bytes(b"abc")
    assert not is_torchscript(tmp_path / "c.pt")
    assert not is_torchscript(tmp_path / "other")


def _repack(path, data):
    with zipfile.ZipFile(path) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in entries.items():
            if name.endswith("/data.pkl"):
                content = data
            if content is not None:
                new.writestr(name, content)


class _Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.path),)


def test_an_archive_that_runs_code_is_refused_and_runs_none(archive, tmp_path):
    _, path = archive
    proof = tmp_path / "code_was_run"
    _repack(path, pickle.dumps(_Malicious(proof), protocol=2))
    with pytest.raises(UnsafeCheckpointError, match=r"m\.pt was not loaded.*mkdir"):
        read_torchscript(path)
    assert not proof.exists()


@pytest.mark.parametrize("data", [b"", b"\x80\x02X", b"\x80\x02}q\x00Q."])
def test_damaged(archive, data):
    _, path = archive
    _repack(path, data)
    with pytest.raises(WeightsError, match="damaged TorchScript archive"):
        read_torchscript(path)
