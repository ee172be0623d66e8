"""Checkpoints of FC-CLIP's authors, converted."""

from __future__ import annotations

import pytest
import torch

from ovseg.encoders.weights import load_state_dict
from tests.heads.drawn_model import authors_state
from tools.model_converters.fcclip import main


@pytest.mark.parametrize("name", ["head.safetensors", "head.pth"])
def test_convert(tmp_path, capsys, name):
    source, target = tmp_path / "model_final.pth", tmp_path / name
    torch.save({"model": authors_state("convnext", frozen=True), "iteration": 7}, source)
    assert main([str(source), str(target)]) == 0
    said = capsys.readouterr().out
    assert "of the frozen CLIP and 1 of the loss left out" in said
    state = load_state_dict(target)
    assert all(key.startswith(("pixel_decoder.", "decoder.")) for key in state)
    assert str(len(state)) in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sem_seg_head.predictor.static_query.weight": torch.zeros(2)}, "static_query"),
        ({"sem_seg_head.pixel_decoder.input_proj.3.0.weight": torch.zeros(2)}, "input_proj.3"),
        (None, "no head"),
        ("missing", "no file of weights"),
    ],
)
def test_what_cannot_be_converted(tmp_path, capsys, change, message):
    source = tmp_path / "model_final.pth"
    if change is None:
        torch.save({"model": {"backbone.clip_model.logit_scale": torch.zeros(())}}, source)
    elif change != "missing":
        torch.save({"model": {**authors_state("resnet"), **change}}, source)
    assert main([str(source), str(tmp_path / "out.pth")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.pth").exists()
