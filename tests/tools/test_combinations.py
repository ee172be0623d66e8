from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from ovseg.registry import MODELS

PATH = Path(__file__).parents[2] / "tools" / "benchmark" / "combinations.py"


@pytest.fixture
def combinations():
    spec = importlib.util.spec_from_file_location("combinations", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_part_of_the_table_exists_and_finds_its_encoder(combinations):
    cells = 0
    for rule in combinations.RULES:
        for guide in combinations.GUIDES:
            for refiner in combinations.REFINERS:
                settings = combinations.settings(rule, guide, refiner)
                for key in ("attention", "guide", "aggregator", "refiner"):
                    assert key not in settings or MODELS.get(settings[key]["type"])
                text = json.dumps({k: v for k, v in settings.items() if k != "encoders"})
                assert set(settings["encoders"]) == {
                    name for name in combinations.ENCODERS if f'"encoder": "{name}"' in text
                }
                cells += 1
    assert cells == 8 * 3 * 3


def test_a_stopped_table_goes_on_where_it_was(combinations, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(combinations, "RULES", dict(list(combinations.RULES.items())[1:3]))
    monkeypatch.setattr(combinations, "GUIDES", {"none": {}})
    monkeypatch.setattr(
        combinations, "REFINERS", {name: combinations.REFINERS[name] for name in ("none", "PAMR")}
    )
    asked = []
    score = combinations.Scenes.score

    def counted(scenes, model, title):
        asked.append(title)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return score(scenes, model, title)

    monkeypatch.setattr(combinations.Scenes, "score", counted)
    command = ["--work-dir", str(tmp_path), "--scenes", "2", "--size", "64"]
    with pytest.raises(KeyboardInterrupt):
        combinations.main(command)
    combinations.main(command)
    assert asked[2:] == ["SCLIP / none / none", "SCLIP / none / none", "SCLIP / none / PAMR"]
    lines = (tmp_path / "combinations.md").read_text().splitlines()
    assert lines[0] == "| rule | none + none | none + PAMR |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| MaskCLIP", "| SCLIP"]
    cells = json.loads((tmp_path / "cells.json").read_text())["cells"]
    assert len(cells) == 4
    for cell in cells.values():
        assert 0 < cell["miou"] <= 100
        assert cell["miou"] == pytest.approx((12 * cell["stuff"] + 16 * cell["things"]) / 28)
    with pytest.raises(SystemExit, match="another --work-dir"):
        combinations.main([*command[:3], "3", *command[4:]])
