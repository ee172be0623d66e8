"""Learning rates of parts, and the file that is given to others."""

from __future__ import annotations

import types

import pytest
import torch
from torch import nn

from ovseg.engine import RateByPart, ReleaseHook
from ovseg.errors import ConfigError, SaveError

WRAPPER = dict(optimizer=dict(type="AdamW", lr=0.1))


def net() -> nn.Module:
    model = nn.ModuleDict(dict(body=nn.Linear(2, 3), head=nn.ModuleDict(dict(a=nn.Linear(3, 1)))))
    model["frozen"] = nn.Linear(2, 2).requires_grad_(False)
    model["head"]["b"] = nn.Linear(3, 1)
    return model


@pytest.mark.parametrize(
    ("rates", "groups"),
    [
        ({}, [(0.1, 6)]),
        ({"head.a": 0.5}, [(0.1, 4), (0.5, 2)]),
        ({"head": 0.5, "head.b": 0.2}, [(0.1, 2), (0.5, 2), (0.2, 2)]),
        ({"body": 0.5, "head": 0.2}, [(0.5, 2), (0.2, 4)]),
    ],
)
def test_parts_have_their_rates(rates, groups):
    wrapper = RateByPart(WRAPPER, {"rates": rates})(net())
    found = [(group["lr"], len(group["params"])) for group in wrapper.optimizer.param_groups]
    assert found == groups


@pytest.mark.parametrize(
    ("paramwise", "change", "message"),
    [
        ({"rates": {"neck": 1}}, None, "begins with neck; correct"),
        ({"rates": {"frozen": 1}}, None, "begins with frozen; correct"),
        ({"norm_decay_mult": 0}, None, "knows rates in paramwise_cfg, not norm_decay_mult"),
        (None, "freeze", "is trained; unfreeze"),
    ],
)
def test_mistakes(paramwise, change, message):
    model = net().requires_grad_(change is None)
    model["frozen"].requires_grad_(False)
    with pytest.raises(ConfigError, match=message):
        RateByPart(WRAPPER, paramwise)(model)


def runner(tmp_path, model):
    return types.SimpleNamespace(bare_model=model, work_dir=str(tmp_path))


def test_models_that_release_nothing_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="take ReleaseHook out"):
        ReleaseHook().before_train(runner(tmp_path, net()))


def test_the_file_is_whole_or_the_old_one(tmp_path, monkeypatch):
    model = types.SimpleNamespace(released=lambda state: {"model_state_dict": state})
    hook = ReleaseHook("given.pt")
    hook.before_save_checkpoint(runner(tmp_path, model), {"state_dict": {"x": torch.ones(1)}})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ovseg.engine.storage.os.replace", full)
    with pytest.raises(SaveError, match="No space"):
        hook.before_save_checkpoint(runner(tmp_path, model), {"state_dict": {"x": torch.zeros(1)}})
    found = torch.load(tmp_path / "given.pt", weights_only=True)
    assert found["model_state_dict"]["x"].item() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["given.pt"]
