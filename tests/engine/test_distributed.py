"""Two processes with half the batch each train as one process with all of it."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
from pathlib import Path

import pytest
import torch

from ovseg.apis.training import train_model
from ovseg.utils.checkpoints import load_checkpoint
from tests.tiny_masks import masks_config

CHANGES = {
    "model.queries": 4,  # some images have more segments than queries
    "train_cfg.max_iters": 3,
    "custom_hooks": [dict(type="FrozenGuardHook"), dict(type="TrainedEMAHook", momentum=0.1)],
}


def losses(work: Path) -> list[float]:
    (path,) = work.glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def work_of_process(rank: int, port: int, work: str, poison: str | None) -> None:
    """What one of two processes does; its errors are written to a file."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    config = masks_config(work, poison=poison, **CHANGES)
    config.launcher = "pytorch"
    config.train_dataloader.batch_size = 2
    try:
        train_model(config)
    except Exception as error:
        Path(work, f"error-{rank}.txt").write_text(f"{type(error).__name__}: {error}")
    finally:
        torch.distributed.destroy_process_group()


def run_two(work: Path, poison: str | None = None) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Forked, so that nothing has to be imported again.
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=work_of_process, args=(rank, port, str(work), poison))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        if process.is_alive():
            process.kill()
            pytest.fail("a process hangs")


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs forked processes")


def test_two_processes_equal_one(tmp_path):
    run_two(tmp_path / "two")
    train_model(masks_config(tmp_path / "one", **CHANGES))
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    one, two = (load_checkpoint(tmp_path / name / "iter_3.pth") for name in ("one", "two"))
    assert one["meta"]["position"] == two["meta"]["position"] == 12
    for key in ("raw_state_dict", "state_dict"):
        for name, tensor in one[key].items():
            torch.testing.assert_close(two[key][name], tensor, atol=1e-5, rtol=1e-4)


def test_all_processes_stop_when_one_meets_a_loss_that_is_no_number(tmp_path):
    run_two(tmp_path, poison="000003")
    errors = [(tmp_path / f"error-{rank}.txt").read_text() for rank in range(2)]
    for error in errors:
        assert error.startswith("TrainingError")
        assert "it comes from scenes-train/000003. " in error
