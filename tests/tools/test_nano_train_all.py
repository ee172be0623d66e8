"""Recipes side by side, here of scripts that only tell what they were told."""

from __future__ import annotations

import pytest

from tests.tools.nano import NANO, train_all

TELL = """
import os, pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--work-dir") + 1])
folder.mkdir(parents=True, exist_ok=True)
print("arguments", *sys.argv[3:], "threads", os.environ["OMP_NUM_THREADS"])
if folder.name == "broken":
    sys.exit("no luck")
(folder / "record.json").write_text("{}")
"""
#: Meets the other one, or gives up: both must run at the same time.
MEET = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[sys.argv.index("--work-dir") + 1])
folder.mkdir(parents=True, exist_ok=True)
(folder / "here").touch()
other = folder.parent / {"one": "two", "two": "one"}[folder.name] / "here"
until = time.time() + 30
while not other.exists():
    if time.time() > until:
        sys.exit("alone")
    time.sleep(0.01)
"""


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """Give some names to copies of a script."""

    def give(text, *names):
        script = tmp_path / "script.py"
        script.write_text(text, encoding="utf-8")
        recipe = train_all.Recipe(str(script), "record.json")
        monkeypatch.setattr(train_all, "RECIPES", dict.fromkeys(names, recipe))
        return tmp_path / "runs"

    return give


def test_every_recipe_is_there_with_the_weights_it_writes():
    assert {r.script for r in train_all.RECIPES.values()} == {
        "train_clip.py",
        "train_convclip.py",
        "train_dino.py",
        "train_sam.py",
    }
    for recipe in train_all.RECIPES.values():
        assert (NANO / recipe.script).exists()
        assert (NANO.parents[1] / "ovseg" / "assets" / "nano" / recipe.record).exists()


@pytest.mark.parametrize(
    ("words", "cores", "told"),
    [
        ("", 2, "--device cpu --workers 0 threads 1"),
        ("", 1, "--device cpu --workers 0 threads 1"),
        ("--side-by-side 1", 8, "--device cpu --workers 0 threads 8"),
        ("", 8, "--device cpu --workers 0 threads 4"),
        ("--device meta", 2, "--device meta threads 1"),
    ],
)
def test_recipes_share_the_cores(words, cores, told, recipes, monkeypatch, capsys):
    folder = recipes(TELL, "one", "two")
    monkeypatch.setattr(train_all.os, "cpu_count", lambda: cores)
    train_all.main(["--work-dir", str(folder), *words.split()])
    printed = capsys.readouterr().out
    for name in ("one", "two"):
        assert f"{name} | arguments {told}\n" in printed
        assert f"{name} | done after 0 minutes\n" in printed
        assert (folder / f"{name}.log").read_text(encoding="utf-8") == f"arguments {told}\n"


def test_recipes_run_at_the_same_time(recipes, monkeypatch):
    folder = recipes(MEET, "one", "two")
    train_all.main(["--work-dir", str(folder), "--side-by-side", "2"])


def test_what_is_done_is_not_done_again(recipes, capsys):
    folder = recipes(TELL, "one")
    for _ in range(2):
        train_all.main(["--work-dir", str(folder)])
    assert f"one | done before: {folder / 'one' / 'record.json'}\n" in capsys.readouterr().out
    assert (folder / "one.log").read_text(encoding="utf-8").count("arguments") == 1


def test_a_recipe_that_fails_does_not_stop_the_others(recipes, capsys):
    folder = recipes(TELL, "broken", "one")
    with pytest.raises(SystemExit, match=r"failed: broken; see the end of .*broken\.log"):
        train_all.main(["--work-dir", str(folder), "--side-by-side", "1"])
    printed = capsys.readouterr().out
    assert "broken | no luck\n" in printed and "broken | stopped with status 1" in printed
    assert (folder / "one" / "record.json").exists()


def test_no_recipe_at_a_time_is_refused(capsys):
    with pytest.raises(SystemExit):
        train_all.main(["--side-by-side", "0"])
    assert "--side-by-side must be at least 1, not 0" in capsys.readouterr().err
