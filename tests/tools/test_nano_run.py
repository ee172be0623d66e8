"""What the recipes of the nano models share: runs that are cut, and their last words."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from ovseg.encoders import sam_build
from tests.tools.nano import run, train_clip, train_convclip, train_dino, train_sam
from tests.tools.test_nano_sam import TINY as TINY_SAM


class Case(NamedTuple):
    """A recipe, a run of four steps of it with a checkpoint after two, and what it holds."""

    script: ModuleType
    trainer: type
    command: str
    states: tuple[str, ...]


CASES = {
    "clip": Case(
        train_clip,
        train_clip.NanoTrainer,
        "--batch 4 --size 64 --bank 24",
        ("clip", "dense_scale"),
    ),
    "convclip": Case(
        train_convclip,
        train_convclip.ConvTrainer,
        "--batch 6 --sizes 64 128 --small 0 --bank 24",
        ("clip", "dense_scale"),
    ),
    "sam": Case(
        train_sam,
        train_sam.SAMTrainer,
        "--model tiny --batch 2 --small-size 32 --small-steps 2 --no-amp",
        ("sam", "size"),
    ),
    "dino": Case(
        train_dino,
        train_dino.DinoTrainer,
        "--batch 3 --size 16 --local-size 8 --locals 1 --prototypes 8",
        ("student", "teacher"),
    ),
}
COMMON = "--workers 0 --warmup 2 --steps 4 --eval-every 2".split()


def same(one: Any, other: Any) -> bool:
    """Whether two states of anything hold the same numbers."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_interrupted_run_ends_with_the_same_weights(case, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sam_build.SAM_ARCHITECTURES, "tiny", TINY_SAM)
    monkeypatch.setattr(case.trainer, "scores", lambda _: {"score": 1.5})
    monkeypatch.setattr(case.trainer, "finals", lambda _: {"finally": 2.5})

    def go(folder, *more):
        words = ["--work-dir", str(tmp_path / folder), *case.command.split(), *COMMON, *more]
        case.script.main(words)

    go("whole")
    save = case.trainer.save

    def save_and_stop(trainer):
        save(trainer)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(case.trainer, "save", save_and_stop)
        with pytest.raises(SystemExit, match="the same command goes on"):
            go("cut")
    assert not list((tmp_path / "cut").glob("*.safetensors"))
    capsys.readouterr()
    go("cut")
    assert "resumed at step 2" in capsys.readouterr().out

    whole, cut = (torch.load(tmp_path / name / "last.pt") for name in ("whole", "cut"))
    assert set(whole) == {*case.states, "optimizer", "step", "seconds", "arguments"}
    assert whole["step"] == cut["step"] == 4
    for part in (*case.states, "optimizer"):
        assert same(whole[part], cut[part]), part
    assert all(list((tmp_path / name).glob("*.safetensors")) for name in ("whole", "cut"))

    # Another command must not go on from this checkpoint as if it were its own.
    with pytest.raises(SystemExit, match=r"'steps': 4.*another --work-dir"):
        go("cut", "--steps", "8")


def test_the_teacher_lags_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(train_dino.DinoTrainer, "scores", lambda _: {})
    monkeypatch.setattr(train_dino.DinoTrainer, "finals", lambda _: {})
    words = CASES["dino"].command.split()
    train_dino.main(["--work-dir", str(tmp_path), *words, *COMMON])
    state = torch.load(tmp_path / "last.pt")
    student, teacher = state["student"]["mask_token"], state["teacher"]["mask_token"]
    assert not torch.equal(student, teacher)
    assert teacher.abs().sum() < student.abs().sum()  # both began at zero


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.25), (1, 0.5), (3, 1.0), (4, 1.0), (50, 0.505), (100, 0.01)],
)
def test_rates_warm_up_and_go_down(step, expected):
    assert run.warm_cosine(step, 4, 100) == pytest.approx(expected, abs=0.02)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, monkeypatch):
    def loss(self, batch, rng):
        return {"cls": torch.tensor(np.nan, requires_grad=True)}

    monkeypatch.setattr(train_dino.DinoTrainer, "loss", loss)
    with pytest.raises(FloatingPointError, match="not finite at step 0"):
        train_dino.main(["--work-dir", str(tmp_path), *CASES["dino"].command.split(), *COMMON])
    assert not (tmp_path / "last.pt").exists()


@pytest.mark.parametrize("able", [True, False, None])
def test_bfloat16_where_it_is_known_to_be_faster(able, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "computes_bfloat16", lambda _: able)
    words = ["--work-dir", str(tmp_path), *CASES["dino"].command.split(), *COMMON]
    trainers = [
        train_dino.DinoTrainer(train_dino.parse_args([*words, *more]))
        for more in ([], ["--amp"], ["--no-amp"])
    ]
    assert [t.args.amp for t in trainers] == [able is True, True, False]
