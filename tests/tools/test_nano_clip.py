from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import open_clip
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from ovseg.datasets.scenes.classes import VOID
from ovseg.datasets.scenes.render import render
from ovseg.dense import MaskCLIPAttention, PlainAttention
from ovseg.encoders import CLIPViT
from tests.tools.nano import NANO, clip_model, clip_score


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short run of the recipe as a user starts it: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("nano")
    command = [
        sys.executable, str(NANO / "train_clip.py"), "--work-dir", str(folder),
        "--model", "nano-vit-8", "--steps", "12", "--batch", "8", "--size", "64", "--workers", "0",
        "--warmup", "2", "--eval-every", "12", "--eval-scenes", "4", "--log-every", "3",
        "--bank", "48",
    ]  # fmt: skip
    path = os.pathsep.join([str(NANO.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS="1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_loss_falls(finished):
    _, output = finished
    steps = re.findall(r"^step (\d+)/12 \d+ s  (.*)$", output, re.M)
    assert [int(step) for step, _ in steps] == [3, 6, 9, 12]
    totals = [sum(float(n) for n in re.findall(r" ([\d.]+)", f" {line}")) for _, line in steps]
    assert len(re.findall(r"[a-z_]+ [\d.]+", steps[0][1])) == 4
    assert totals[-1] < 0.95 * totals[0]


def test_the_weights_load_into_open_clips_own_class(finished):
    folder, _ = finished
    config = json.loads((clip_model.ASSETS / "nano-vit-8.json").read_text())
    del config["text_cfg"]["bpe_file"]
    clip = open_clip.CLIP(**config)
    weights = load_file(folder / "nano-vit-8.safetensors")
    clip.load_state_dict(weights, strict=True)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    features = clip.encode_image(torch.rand(1, 3, 64, 64))
    assert features.shape == clip.encode_text(torch.ones(1, 77, dtype=torch.long)).shape


def test_the_record_says_how_they_were_made(finished):
    folder, output = finished
    record = json.loads((folder / "nano-vit-8.record.json").read_text())
    assert record["arguments"]["seed"] == 0
    assert record["arguments"]["steps"] == 12
    assert record["images"] == 12 * 8
    assert record["parameters"] > 10**6
    assert re.fullmatch("[0-9a-f]{64}", record["sha256"])
    assert {"seconds", "hardware", "versions"} <= set(record)
    scores = record["held_out_close_ups_miou"]
    assert set(scores) == {
        reading + part for reading in clip_score.READINGS for part in ("", "_stuff", "_things")
    }
    assert json.dumps(scores) in output
    assert str(folder) not in json.dumps(record)


def test_the_paths_agree_with_open_clip(finished):
    folder, _ = finished
    model = clip_model.NanoCLIP("nano-vit-8", torch.device("cpu"), amp=False)
    model.clip.load_state_dict(load_file(folder / "nano-vit-8.safetensors"), strict=False)
    model.clip.eval()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (clip_model.MEAN, clip_model.STD))
    texts = ["a cat", "two orange butterflies on snow in front of a sunset"]
    with torch.no_grad():
        cls, patches = model.encode_image(images, ["plain", "value", "q", "k", "v"])
        theirs = model.clip.encode_image((images / 255 - mean) / std, normalize=True)
        torch.testing.assert_close(cls, theirs)
        words = model.clip.encode_text(model.tokenizer(texts), normalize=True)
        torch.testing.assert_close(model.encode_text(texts), words)
    # The segmentor reads the same weights in the same ways.
    encoder = CLIPViT("nano-vit-8", None, folder / "nano-vit-8.safetensors")
    state = encoder.tokens((images / 255 - mean) / std)
    bare = {"residual": False, "mlp": False}
    rules = {"plain": PlainAttention(), "value": MaskCLIPAttention(**bare)}
    for reading, rule in rules.items():
        tokens, _ = rule(encoder.last_block, state)
        expected = F.normalize(encoder.project(tokens), dim=-1)
        torch.testing.assert_close(patches[reading], expected, atol=2e-4, rtol=1e-3)
    assert all(p.shape == (2, 64, 192) for p in patches.values())
    assert not torch.allclose(patches["q"], patches["k"], atol=1e-3)


def test_scores_of_a_model_that_says_one_class_everywhere(monkeypatch):
    model = clip_model.NanoCLIP("nano-vit-8", torch.device("cpu"), amp=False)
    classes = torch.eye(28, 192)
    readings = {reading: classes[:1].expand(2, 64, 192) for reading in clip_score.READINGS}
    monkeypatch.setattr(model, "encode_text", lambda texts: classes[: len(texts)])
    monkeypatch.setattr(model, "encode_image", lambda images, wanted: (None, readings))
    scores = clip_score.close_up_scores(model, 64, 2)
    truth = [render((2, i), 64, zoom=2.0, num_things=(1, 3)).semantic for i in range(2)]
    share = 100 * sum((t == 0).sum() for t in truth) / sum((t != VOID).sum() for t in truth)
    assert scores["value"] == scores["plain"] == pytest.approx(share / 28, abs=0.06)
    assert scores["q_stuff"] == pytest.approx(share / 12, abs=0.06)
    assert scores["k_things"] == 0
    assert model.clip.training
