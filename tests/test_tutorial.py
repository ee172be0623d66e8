"""The commands of docs/train_on_your_own_images.md, with fewer images and iterations."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import torch

from demo import image_demo
from tools import test as test_tool
from tools import train as train_tool
from tools.nano import make_folder

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "train_on_your_own_images.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|bash)\n(.*?)```", PAGE, flags=re.DOTALL)
TOOLS = {
    "tools/nano/make_folder.py": make_folder.main,
    "tools/test.py": test_tool.main,
    "tools/train.py": train_tool.main,
    "demo/image_demo.py": image_demo.main,
}
#: What is made shorter.
IMAGES, ITERATIONS = "3", 2
SHORT = {
    "tools/train.py": [
        f"train_cfg.max_iters={ITERATIONS}",
        "train_dataloader.num_workers=0",
        "train_dataloader.persistent_workers=False",
        "train_dataloader.batch_size=2",
    ],
    "tools/test.py": [
        "test_dataloader.num_workers=0",
        "model.templates=none",
        "model.text_cache=False",
    ],
}


def shortened(words: list[str]) -> list[str]:
    """The arguments of a command of the page, for a run of seconds."""
    tool, *arguments = words
    if "--images" in arguments:
        arguments[arguments.index("--images") + 1] = IMAGES
    if tool in SHORT:
        arguments += [] if "--cfg-options" in arguments else ["--cfg-options"]
        arguments += SHORT[tool]
    return arguments


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which configs, tools and demo lie as in the repository."""
    root = tmp_path_factory.mktemp("tutorial")
    (root / "configs").symlink_to(ROOT / "configs")
    return root


def test_everything_on_the_page_runs(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.delenv("OVSEG_DATA", raising=False)
    for kind, text in BLOCKS:
        if kind == "python":
            name = re.match(r"# (\w+\.py)\n", text)[1]
            text = text.replace("iter_500.pth", f"iter_{ITERATIONS}.pth")
            (place / name).write_text(text, encoding="utf-8")
            continue
        for line in text.strip().splitlines():
            program, *words = shlex.split(line)
            assert program == "python"
            assert TOOLS[words[0]](shortened(words)) == 0, line

    made = torch.load(place / "work_dirs/my_convolutions/last.pt", weights_only=True)
    assert set(made["model_state_dict"]) >= {"obj_proj.weight", "bkg_decoder.weight"}
    records = {p.parts[-3]: json.loads(p.read_text()) for p in place.rglob("results.json")}
    assert set(records) == {
        "my_score_before",
        "my_score_after",
        "my_tower_score",
        "my_tower_score_before",
        "my_head_score",
    }
    used = str(records["my_score_after"])
    assert "clip_dinoiser/last/sha256:" in used
    towers = [records[f"my_tower_score{when}"]["weights"] for when in ("", "_before")]
    assert towers[0]["image_encoder"] != towers[1]["image_encoder"]
    for task in ("semantic", "tower", "panoptic"):
        assert len(list((place / "results" / task).glob("*_mask.png"))) == int(IMAGES)


def test_every_config_of_the_page_is_there():
    named = re.findall(r"`((?:clip_dinoiser|clipself|maskclip|fcclip)_[\w.-]+\.py)`", PAGE)
    assert len(named) >= 11
    for name in named:
        assert list((ROOT / "configs").glob(f"*/{name}")), name
