"""Which parameters decay, and steps in several precisions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ovseg.engine.optim_wrapper import GuardedOptimWrapper, NotFiniteError
from ovseg.engine.weight_decay import DecayByKind, parameter_groups
from ovseg.errors import ConfigError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.BatchNorm2d(4))
        self.words = nn.Embedding(5, 4)
        self.query = nn.Parameter(torch.zeros(2, 4))
        self.scale = nn.Parameter(torch.zeros(()))
        self.again = self.body[0]  # shared: counted once
        self.frozen = nn.Linear(4, 4).requires_grad_(False)


def shapes(group):
    return sorted(tuple(p.shape) for p in group["params"])


@pytest.mark.parametrize(
    "undecayed, decayed",
    [((), [(), (2, 4), (4,), (4, 3, 1, 1)]), (("query",), [(), (4,), (4, 3, 1, 1)])],
)
def test_norms_and_embeddings_keep_their_size(undecayed, decayed):
    groups = parameter_groups(Net(), undecayed)
    assert shapes(groups[0]) == decayed
    assert groups[1]["weight_decay"] == 0
    kept = [(4,), (4,), (4,), (4,), (5, 4)]
    assert shapes(groups[1]) == sorted(kept + [(2, 4)] * bool(undecayed))


def test_building():
    config = dict(type="GuardedOptimWrapper", optimizer=dict(type="AdamW", lr=0.1, weight_decay=1))
    wrapper = DecayByKind(config, dict(undecayed=["query"]))(Net())
    assert [g["weight_decay"] for g in wrapper.optimizer.param_groups] == [1, 0]
    assert config["optimizer"]["type"] == "AdamW"
    with pytest.raises(ConfigError, match="Nothing of Linear is trained"):
        DecayByKind(config)(nn.Linear(2, 2).requires_grad_(False))


def guarded(parameter, **settings):
    return GuardedOptimWrapper(optimizer=torch.optim.SGD([parameter], lr=1.0), **settings)


@pytest.mark.parametrize("clip, step", [(None, 3.0), (dict(max_norm=0.5), 0.5)])
def test_a_step(clip, step):
    weight = nn.Parameter(torch.tensor([1.0]))
    guarded(weight, clip_grad=clip).update_params((weight * 3).sum())
    assert weight.item() == pytest.approx(1 - step)


@pytest.mark.parametrize("clip", [None, dict(max_norm=0.5)])
@pytest.mark.parametrize(
    "loss, what",
    [
        (lambda w: (w * float("nan")).sum(), "loss"),
        (lambda w: (w * float("inf")).sum(), "loss"),
        (lambda w: (w * 0).sqrt().sum(), "gradient"),
    ],
)
def test_no_step_with_what_is_no_number(loss, what, clip):
    weight = nn.Parameter(torch.tensor([1.0]))
    with pytest.raises(NotFiniteError) as caught:
        guarded(weight, clip_grad=clip).update_params(loss(weight))
    assert caught.value.what == what
    assert weight.item() == 1


def test_gradients_are_gathered_over_steps():
    weight = nn.Parameter(torch.tensor([1.0]))
    wrapper = guarded(weight, accumulative_counts=2)
    wrapper.initialize_count_status(nn.Linear(1, 1), 0, 4)
    wrapper.update_params((weight * 2).sum())
    assert weight.item() == 1
    wrapper.update_params((weight * 4).sum())
    assert weight.item() == pytest.approx(1 - 3)


def test_autocast():
    wrapper = guarded(nn.Parameter(torch.ones(1)), precision="bf16")
    layer = nn.Linear(2, 2)
    wrapper.device_type = "cpu"
    with wrapper.optim_context(layer):
        assert layer(torch.ones(1, 2)).dtype == torch.bfloat16
    state = wrapper.state_dict()
    guarded(nn.Parameter(torch.ones(1))).load_state_dict(state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_half_precision_scales_the_loss():
    weight = nn.Parameter(torch.ones(1, device="cuda"))
    wrapper = guarded(weight, precision="fp16", clip_grad=dict(max_norm=10.0))
    wrapper.update_params((weight * 3).sum())
    assert weight.item() == pytest.approx(-2)
    wrapper.update_params((weight * 1e38).sum() * 1.0)  # overflows when scaled: no step
    assert weight.item() == pytest.approx(-2)
    assert "loss_scaler" in wrapper.state_dict()
