"""tools/train.py: training, going on, and mistakes answered in one line."""

from __future__ import annotations

import json

import pytest

from tests.tiny_runs import train_config, write_folder_dataset
from tools.train import main


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a dataset and the config of a training of six iterations."""
    root = tmp_path_factory.mktemp("train")
    write_folder_dataset(root / "data")
    config = train_config(root / "data", root / "unused")
    for name in ("work_dir", "experiment_name"):
        config.pop(name)
    (root / "train_tool.py").write_text(config.pretty_text)
    return root


def run(place, work, *arguments):
    return main([str(place / "train_tool.py"), "--work-dir", str(place / work), *arguments])


def iterations(place, work):
    rows = []
    for path in sorted((place / work).glob("*/vis_data/scalars.json")):
        rows += [json.loads(line) for line in path.read_text().splitlines()]
    return [row["iter"] for row in rows if "loss" in row]


def test_train_and_go_on(place):
    short = "train_cfg.max_iters=3"
    assert run(place, "a", "--cfg-options", short, "--seed", "4") == 0
    assert iterations(place, "a") == [1, 2, 3]
    assert run(place, "b", "--resume", str(place / "a" / "iter_3.pth")) == 0
    assert iterations(place, "b") == [4, 5, 6]
    assert (place / "b" / "iter_6.pth").is_file()
    # The newest checkpoint of the work dir is found; it is finished, so nothing is left to do.
    assert run(place, "b", "--resume") == 0
    assert iterations(place, "b") == [4, 5, 6]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--resume", "nowhere.pth"], "nowhere.pth does not exist"),
        (["--cfg-options", "train_cfg=None"], "trains nothing"),
        (["--cfg-options", "model.type=NoModel"], "NoModel is not in the ovseg::model registry"),
        (["--cfg-options", "model.foo=3"], "unexpected keyword argument 'foo'"),
        (["--cfg-options", "train_dataloader.dataset.type=NoData"], "NoData is not in the"),
        (["--cfg-options", "train_cfg.foo=3"], "unexpected keyword argument 'foo'"),
    ],
)
def test_mistakes_end_in_one_line(place, arguments, message, capsys):
    assert run(place, "c", *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to(place, capsys):
    assert run(place, "train_tool.py/below") == 2
    assert "train_tool.py/below (Not a directory)" in capsys.readouterr().err


def test_mixed_precision_needs_a_gpu(place, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert run(place, "d", "--amp") == 2
    assert "--amp) needs a GPU" in capsys.readouterr().err
