"""Checkpoints: what they hold, what they refuse, and that one is always whole."""

from __future__ import annotations

import errno

import pytest
import torch

from ovseg.apis.training import train_model
from ovseg.engine import storage
from ovseg.errors import CheckpointMismatchError, ConfigError, SaveError, TrainingError
from ovseg.utils.checkpoints import load_checkpoint
from tests.tiny_masks import TinyMasks, masks_config


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    work = tmp_path_factory.mktemp("saved")
    train_model(masks_config(work))
    return work


def test_only_what_was_trained_is_saved(saved):
    assert [path.name for path in saved.glob("*.pth")] == ["iter_6.pth"]
    checkpoint = load_checkpoint(saved / "iter_6.pth")
    names = set(checkpoint["state_dict"])
    assert "queries.weight" in names
    assert not any(name.startswith("image_encoder") for name in names)
    assert checkpoint["meta"]["frozen"] == {"image_encoder": "tower/sha256:0001"}
    assert checkpoint["meta"]["position"] == 24
    assert (saved / "last_checkpoint").read_text() == str(saved / "iter_6.pth")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model.tower": 2}, r"frozen image_encoder tower/sha256:0001, but this model has"),
        ({"model.queries": 7}, r"1 tensors have another shape \(first: queries.weight\)"),
    ],
)
@pytest.mark.parametrize("resume", [True, False])
def test_other_models_refuse_it(saved, tmp_path, changes, message, resume):
    config = masks_config(tmp_path, **changes)
    path = str(saved / "iter_6.pth")
    if not resume:
        config.load_from = path
    with pytest.raises(CheckpointMismatchError, match=message):
        train_model(config, resume=path if resume else False)


def test_training_can_begin_with_it(saved, tmp_path):
    config = masks_config(tmp_path, **{"train_cfg.max_iters": 1})
    config.load_from = str(saved / "iter_6.pth")
    assert train_model(config).iter == 1


class Full:
    """A disk that has room for some bytes."""

    def __init__(self, room, error):
        self.room, self.error = room, error

    def write(self, content):
        self.file.write(content[: self.room])
        raise self.error

    def __call__(self, path):
        self.file = open(path, "wb")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


@pytest.mark.parametrize(
    "error, raised",
    [(OSError(errno.ENOSPC, "No space left on device"), SaveError), (KeyboardInterrupt(),) * 2],
    ids=["full-disk", "interrupted"],
)
def test_the_checkpoint_before_survives(tmp_path, monkeypatch, error, raised):
    config = masks_config(tmp_path)
    train_model(masks_config(tmp_path, **{"train_cfg.max_iters": 3}))
    before = (tmp_path / "iter_3.pth").read_bytes()
    raised = raised if isinstance(raised, type) else type(raised)
    monkeypatch.setattr(storage, "open_draft", Full(100, error))
    with pytest.raises(raised) as caught:
        train_model(config, resume=True)
    if raised is SaveError:
        assert "iter_6.pth (No space left on device)" in str(caught.value)
        assert "--resume" in str(caught.value)
    assert (tmp_path / "iter_3.pth").read_bytes() == before
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "iter_3.pth")
    assert not list(tmp_path.glob(".*.part"))
    monkeypatch.undo()
    # What a killed process leaves is cleared, and training goes on.
    (tmp_path / ".iter_6.pth.1.part").write_bytes(b"half")
    train_model(masks_config(tmp_path), resume=True)
    assert not list(tmp_path.glob(".*.part"))
    assert [path.name for path in tmp_path.glob("*.pth")] == ["iter_6.pth"]


def test_frozen_parameters_that_change_end_training(tmp_path, monkeypatch):
    inner = TinyMasks.forward

    def forward(self, *args, **kwargs):
        with torch.no_grad():
            self.image_encoder.conv.bias += 1e-6
        return inner(self, *args, **kwargs)

    monkeypatch.setattr(TinyMasks, "forward", forward)
    with pytest.raises(TrainingError, match=r"frozen parameter image_encoder\.conv\.bias changed"):
        train_model(masks_config(tmp_path))
    assert not list(tmp_path.glob("*.pth"))


def test_averages(tmp_path):
    hooks = [dict(type="TrainedEMAHook", momentum=0.25)]
    runner = train_model(
        masks_config(tmp_path, custom_hooks=hooks, **{"default_hooks.checkpoint.interval": 1})
    )
    checkpoint = load_checkpoint(tmp_path / "iter_6.pth")
    name = "queries.weight"
    raw, mean = checkpoint["raw_state_dict"][name], checkpoint["state_dict"][name]
    assert torch.equal(raw, runner.model.state_dict()[name])
    assert 0 < (raw - mean).abs().max() < 0.1
    (hook,) = (h for h in runner.hooks if type(h).__name__ == "TrainedEMAHook")
    hook.before_val_epoch(runner)
    assert torch.equal(runner.model.queries.weight, mean)
    hook.after_val_epoch(runner)
    assert torch.equal(runner.model.queries.weight, raw)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"optim_wrapper.precision": "fp8"}, "precision 'fp8'"),
        ({"optim_wrapper.paramwise_cfg": dict(norm_decay_mult=0)}, "not norm_decay_mult"),
        ({"optim_wrapper.paramwise_cfg": dict(undecayed=["query"])}, "is called query"),
        ({"custom_hooks": [dict(type="TrainedEMAHook", momentum=2)]}, "momentum"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        train_model(masks_config(tmp_path, **changes))


def test_half_precision_needs_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr("ovseg.engine.optim_wrapper.get_device", lambda: "cpu")
    with pytest.raises(ConfigError, match="needs a GPU: choose 'bf16'"):
        train_model(masks_config(tmp_path, **{"optim_wrapper.precision": "fp16"}))


def test_progress_is_one_short_line(saved):
    (log,) = saved.glob("*/*.log")
    lines = [line for line in log.read_text().splitlines() if "  loss " in line]
    assert len(lines) == 6
    assert all(len(line) < 120 for line in lines)
    for word in ("1/6", "lr 1.00e-02", "eta 0:0", "memory "):
        assert word in lines[0]
    text = log.read_text()
    assert "parameters are trained, 392 are frozen" in text
    assert "frozen image_encoder: tower/sha256:0001" in text
