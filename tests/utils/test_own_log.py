"""Two runs of one name in one second keep their logs apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ovseg.apis.running import FrozenRunner
from ovseg.engine.runner import TrainRunner
from tests.tiny_runs import train_config, write_folder_dataset


@pytest.mark.parametrize("kind", [FrozenRunner, TrainRunner])
def test_each_run_writes_to_its_own_files(kind, tmp_path, monkeypatch):
    write_folder_dataset(tmp_path / "data")
    monkeypatch.setattr("mmengine.runner.runner.time.strftime", lambda *_: "20260101_000000")
    runners = []
    for name in ("one", "two"):
        config = train_config(tmp_path / "data", tmp_path / name, experiment_name=kind.__name__)
        config.train_cfg.max_iters = 3
        runners.append(kind.from_cfg(config))
        runners[-1].train()
    assert [r.experiment_name.split("_000000")[-1] for r in runners] == ["", "_2"]
    for name in ("one", "two"):
        (scalars,) = Path(tmp_path / name).glob("*/vis_data/scalars.json")
        rows = [json.loads(line) for line in scalars.read_text().splitlines()]
        assert [row["iter"] for row in rows if "loss" in row] == [1, 2, 3]
        (log,) = Path(tmp_path / name).glob("*/*.log")
        assert "Iter(train) [3/3]" in log.read_text()
