"""Runs that are repeated, stopped, resumed and divided go the same way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ovseg.apis.training import train_model
from ovseg.errors import TrainingError
from ovseg.utils.checkpoints import load_checkpoint
from tests.tiny_masks import masks_config


def curve(work: Path) -> dict[int, float]:
    rows = []
    for path in sorted(work.glob("*/vis_data/scalars.json")):
        rows += [json.loads(line) for line in path.read_text().splitlines()]
    return {row["iter"]: row["loss"] for row in rows if "loss" in row}


EMA = [dict(type="FrozenGuardHook"), dict(type="TrainedEMAHook", momentum=0.1)]
DROPOUT = {"model.dropout": 0.3, "custom_hooks": EMA}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of six iterations, with dropout and averages."""
    work = tmp_path_factory.mktemp("whole")
    runner = train_model(masks_config(work, **DROPOUT))
    return work, runner


def test_losses_fall_and_are_of_every_layer(whole):
    work, _ = whole
    (path,) = work.glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["iter"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert {"loss_class", "loss_mask_0", "grad_norm", "lr", "memory"} <= set(rows[0])
    assert [row["lr"] for row in rows] == [0.01] * 4 + [0.001] * 2


@pytest.mark.parametrize("workers", [0, 1])
def test_resuming_gives_the_same_curve_and_the_same_weights(whole, tmp_path, workers):
    work, runner = whole
    changes = {**DROPOUT, "train_dataloader.num_workers": workers}
    train_model(masks_config(tmp_path, **changes, **{"train_cfg.max_iters": 3}))
    torch.rand(17)  # the state of random numbers is not what carries over
    config = masks_config(tmp_path, **changes)
    resumed = train_model(config, resume=True)
    assert curve(tmp_path) == curve(work)
    for (name, a), b in zip(
        resumed.model.state_dict().items(), runner.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    one, other = (load_checkpoint(w / "iter_6.pth") for w in (tmp_path, work))
    for key in ("state_dict", "raw_state_dict"):
        assert all(torch.equal(one[key][name], other[key][name]) for name in one[key])


def test_seeds_matter(whole, tmp_path):
    config = masks_config(tmp_path, **DROPOUT, **{"train_cfg.max_iters": 1})
    config.randomness = dict(seed=4)
    train_model(config)
    assert curve(tmp_path)[1] != curve(whole[0])[1]


def test_going_on_with_another_batch_size_skips_nothing(whole, tmp_path):
    work, _ = whole
    config = masks_config(tmp_path, **DROPOUT)
    config.merge_from_dict({"train_dataloader.batch_size": 2, "train_cfg.max_iters": 8})
    runner = train_model(config, resume=str(work / "iter_6.pth"))
    assert runner.train_loop.position(6) == 24
    assert runner.train_loop.position(8) == 28


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loss_that_is_no_number_names_its_image(tmp_path, precision):
    config = masks_config(
        tmp_path,
        poison="000005",
        **{"optim_wrapper.precision": precision, "default_hooks.checkpoint.interval": 1},
    )
    with pytest.raises(TrainingError) as caught:
        train_model(config)
    message = str(caught.value)
    assert "loss is not a finite number; it comes from scenes-train/000005. " in message
    kept = list(tmp_path.glob("iter_*.pth"))
    assert len(kept) <= 1
    for path in kept:
        assert str(path) in message
        state = load_checkpoint(path)["state_dict"]
        assert all(torch.isfinite(value).all() for value in state.values())


def test_a_gradient_that_is_no_number_names_its_image(tmp_path, monkeypatch):
    """The square root of nothing is fine, its gradient is not."""
    from tests.tiny_masks import TinyMasks

    inner = TinyMasks.forward

    def forward(self, inputs, data_samples=None, mode="loss"):
        losses = inner(self, inputs, data_samples, mode)
        empty = [0.0 if s.img_path.endswith("000002") else 1.0 for s in data_samples]
        losses["loss_extra"] = (self.queries.weight.sum() * torch.tensor(empty) ** 2).sum() * 0
        bad = torch.tensor([1.0 - e for e in empty]).sum() * (self.queries.weight * 0).sum()
        losses["loss_extra"] = losses["loss_extra"] + (bad.sqrt() if 0.0 in empty else bad)
        return losses

    monkeypatch.setattr(TinyMasks, "forward", forward)
    with pytest.raises(TrainingError, match=r"gradient is not .* comes from scenes-train/000002\."):
        train_model(masks_config(tmp_path))


def test_images_without_any_annotation_are_trained_on(tmp_path):
    config = masks_config(tmp_path, **{"train_cfg.max_iters": 2})
    pipeline = config.train_dataloader.dataset.dataset.pipeline
    pipeline[-1]["least"] = 10**6  # no segment is as large
    runner = train_model(config)
    scalars = curve(tmp_path)
    assert len(scalars) == 2
    assert all(value > 0 for value in scalars.values())
    assert all(torch.isfinite(p).all() for p in runner.model.parameters())
