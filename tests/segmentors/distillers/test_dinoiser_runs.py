"""Runs of CLIP-DINOiser's training: stopped and resumed, on two processes, in mixed precision."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from ovseg.apis.training import train_model
from ovseg.errors import TrainingError
from ovseg.heads import DINOiserHead
from ovseg.utils.checkpoints import load_checkpoint
from tests.segmentors.distillers.drawn_distiller import distiller_config
from tests.tiny_runs import scene_training

pytestmark = pytest.mark.filterwarnings("ignore:.*random weights")


def run_config(work_dir: Path, **changes: Any) -> Config:
    """Four iterations on eight scenes, four at a time."""
    config = scene_training(
        work_dir,
        model=distiller_config(foreground={"type": "SeedForeground", "encoder": "dino"}),
        pipeline=[
            dict(type="RenderScene"),
            dict(type="ClassAreaCrop", size=32),
            dict(type="RandomMirror"),
            dict(type="RandomBrightness"),
            dict(type="PackSegInputs", meta_keys=("img_path",)),
        ],
        iterations=4,
        interval=2,
        optim_wrapper=dict(
            type="GuardedOptimWrapper",
            constructor="RateByPart",
            optimizer=dict(type="AdamW", lr=0.002),
            paramwise_cfg=dict(rates={"head.bkg_decoder": 0.05}),
        ),
        param_scheduler=[dict(type="MultiStepLR", milestones=[3], gamma=0.1, by_epoch=False)],
        custom_hooks=[dict(type="FrozenGuardHook"), dict(type="ReleaseHook")],
    )
    config.model.encoders.pop("found")
    config.merge_from_dict(changes)
    return config


def rows(work: Path) -> list[dict]:
    found = []
    for path in sorted(work.glob("*/vis_data/scalars.json")):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in found if "loss" in row]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    work = tmp_path_factory.mktemp("whole")
    train_model(run_config(work))
    return work


def test_what_a_run_says_and_leaves(whole):
    found = rows(whole)
    assert [row["iter"] for row in found] == [1, 2, 3, 4]
    assert {"loss_correlation", "loss_foreground", "agree_correlation"} <= set(found[0])
    assert found[-1]["loss"] < found[0]["loss"]
    checkpoint = load_checkpoint(whole / "iter_4.pth")
    assert all(name.startswith("head.") for name in checkpoint["state_dict"])
    assert set(checkpoint["meta"]["frozen"]) == {"image_encoder", "encoders.dino"}
    head = DINOiserHead(width=32, dim=12, weights=whole / "last.pt")
    for name, tensor in head.state_dict().items():
        assert torch.equal(tensor, checkpoint["state_dict"][f"head.{name}"])


def test_resuming_gives_the_same_curve_and_the_same_weights(whole, tmp_path):
    train_model(run_config(tmp_path, **{"train_cfg.max_iters": 2}))
    first = load_checkpoint(tmp_path / "last.pt")["model_state_dict"]
    train_model(run_config(tmp_path), resume=True)
    assert [r["loss"] for r in rows(tmp_path)] == [r["loss"] for r in rows(whole)]
    one, other = (load_checkpoint(w / "last.pt")["model_state_dict"] for w in (tmp_path, whole))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(first["obj_proj.weight"], one["obj_proj.weight"])


def test_bfloat16_is_close(whole, tmp_path):
    train_model(run_config(tmp_path, **{"optim_wrapper.precision": "bf16"}))
    for mixed, full in zip(rows(tmp_path), rows(whole), strict=True):
        assert mixed["loss"] == pytest.approx(full["loss"], rel=1e-2)


def test_means_are_what_is_released(tmp_path):
    hooks = [dict(type="ReleaseHook"), dict(type="TrainedEMAHook", momentum=0.1)]
    train_model(run_config(tmp_path, custom_hooks=hooks))
    checkpoint = load_checkpoint(tmp_path / "iter_4.pth")
    released = load_checkpoint(tmp_path / "last.pt")["model_state_dict"]["obj_proj.weight"]
    assert torch.equal(released, checkpoint["state_dict"]["head.obj_proj.weight"])
    assert not torch.equal(released, checkpoint["raw_state_dict"]["head.obj_proj.weight"])


def test_a_frozen_teacher_that_changes_ends_the_run(tmp_path, monkeypatch):
    from ovseg.segmentors import DINOiserDistiller

    inner = DINOiserDistiller.loss

    def loss(self, *args):
        with torch.no_grad():
            self.encoders["dino"].vit.norm.weight.add_(1)
        return inner(self, *args)

    monkeypatch.setattr(DINOiserDistiller, "loss", loss)
    with pytest.raises(TrainingError, match=r"frozen parameter encoders\.dino"):
        train_model(run_config(tmp_path))
    assert not list(tmp_path.glob("*.pt*"))


def _process(rank: int, port: int, work: Path) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    config = run_config(work, **{"train_dataloader.batch_size": 2, "launcher": "pytorch"})
    try:
        train_model(config)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.skipif(sys.platform != "linux", reason="needs forked processes")
def test_two_processes_equal_one(whole, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_process, args=(rank, port, tmp_path)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        if process.is_alive():
            process.kill()
            pytest.fail("a process hangs")
    losses = [row["loss"] for row in rows(tmp_path)]
    assert losses == pytest.approx([row["loss"] for row in rows(whole)], rel=1e-5)
    one, two = (load_checkpoint(w / "last.pt")["model_state_dict"] for w in (whole, tmp_path))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=1e-4)
