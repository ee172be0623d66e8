from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ovseg.datasets.scenes.classes import CLASSES
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS
from ovseg.encoders.dino import DINO
from ovseg.encoders.sources import nano_file
from tests.tools.nano import (
    NANO,
    dino_data,
    dino_loss,
    dino_model,
    dino_whiten,
    recorded_by,
    score_dino,
    train_dino,
)

TINY = (
    "--batch 3 --size 16 --local-size 8 --locals 1 --prototypes 8 "
    "--workers 0 --warmup 1 --eval-scenes 2 --eval-every 2 --steps 4 "
    "--final-scenes 4 --whiten-scenes 4"
).split()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short run of the recipe as a user starts it: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("dino")
    command = [
        sys.executable, str(NANO / "train_dino.py"), "--work-dir", str(folder), *TINY,
        "--steps", "12", "--batch", "4", "--size", "24", "--eval-every", "12", "--log-every", "3",
        "--lr", "3e-3",
    ]  # fmt: skip
    path = os.pathsep.join([str(NANO.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS="1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_loss_falls(finished):
    _, output = finished
    found = re.findall(r"^step (\d+)/12 \d+ s  (.*)$", output, re.M)
    assert [int(step) for step, _ in found] == [3, 6, 9, 12]
    first, last = (
        {k: float(v) for k, v in re.findall(r"(\w+) (-?[\d.]+)", line)}
        for line in (found[0][1], found[-1][1])
    )
    signs = {"used", "entropy", "alike", "rank"}
    assert set(first) == {"cls", "koleo"} | signs
    assert last["cls"] < first["cls"] - 0.05
    assert last["used"] > 0.3  # no collapse


def test_the_weights_load_into_the_encoder(finished):
    folder, _ = finished
    path = folder / "nano-dino-8.safetensors"
    dino = DINO("nano-dino-8", weights=str(path))
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}
    state = dino.features(torch.randn(1, 3, 24, 16))
    assert state.grid == (3, 2)
    assert state.tokens.shape == (1, 6, 160)
    assert dino.position == "bicubic_offset"
    assert "random" not in dino.fingerprint


def test_the_record_says_how_they_were_made(finished):
    folder, output = finished
    record = json.loads((folder / "nano-dino-8.record.json").read_text())
    assert record["arguments"]["steps"] == 12
    assert record["images"] == 48
    assert re.fullmatch("[0-9a-f]{64}", record["sha256"])
    assert {"seconds", "hardware", "versions", "parameters"} <= set(record)
    for part in ("knn_windows_64", "auc_windows_64", "knn_whole_128", "auc_whole_128"):
        assert set(record[part]) == {"pixels", "pixels_3x3", "tokens", "q", "k", "v"}
        assert part in output
    assert str(folder) not in json.dumps(record)


def test_training_sees_nothing_but_pixels_of_its_own_split(monkeypatch):
    asked = []

    def spy(seed, *args, **options):
        asked.append(seed)
        return render(seed, *args, **options)

    monkeypatch.setattr(dino_data, "render", spy)
    films = dino_data.Films(4, start=1)
    assert len(films) == 3
    film = films[0]
    assert asked == [(SPLITS["train"], 1), (SPLITS["train"], 1, 1)]
    assert film.shape == (2, 3, dino_data.CANVAS, dino_data.CANVAS) and film.dtype == torch.uint8
    assert not torch.equal(film[0], film[1])
    assert torch.equal(film, dino_data.Films(4)[1])

    asked.clear()
    windows = dino_data.still_windows(2, size=64, window=32)
    assert asked == [(SPLITS["train"], 0), (SPLITS["train"], 1)]
    # The same pictures that bring labels where features are scored.
    labelled = score_dino.labelled_scenes("train", 2, 8, size=64, window=32)
    assert np.array_equal(windows, labelled.images)


def test_views_are_windows_of_their_picture():
    """Of a picture that says where it is: red grows to the right, green downwards."""
    ramp = torch.linspace(20, 235, 80).round().expand(80, 80)
    picture = torch.stack([ramp, ramp.T, torch.full_like(ramp, 128)]).to(torch.uint8)
    generator = torch.Generator().manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dino_data, "change_colors", lambda views, _: views)
        views = dino_data.make_views(picture.expand(3, -1, -1, -1), 24, (0.5, 0.6), 8, generator)
    assert views.shape == (24, 3, 24, 24)
    width = (views[:, 0, :, -1] - views[:, 0, :, 0]).mean(1) / 215  # as a share of the picture
    height = (views[:, 1, -1] - views[:, 1, 0]).mean(1) / 215
    assert ((width.abs() > 0.4) & (width.abs() < 0.7)).all()
    assert (height > 0.4).all() and (height < 0.7).all()
    assert 4 < (width < 0).sum() < 20  # some are mirrored
    assert views[:, 0, 12, 12].std() > 5 and views[:, 1, 12, 12].std() > 5
    torch.testing.assert_close(views[:, 2], torch.full((24, 24, 24), 128.0))


def test_colors_change_within_bounds():
    views = torch.full((400, 3, 4, 4), 120.0)
    views[:, 0] += 60
    generator = torch.Generator().manual_seed(0)
    found = dino_data.change_colors(views, generator)
    assert found.min() >= 0 and found.max() <= 255
    gray = (found.mean((2, 3)).amax(1) - found.mean((2, 3)).amin(1)) < 25
    assert 0.005 < gray.float().mean() < 0.2
    light = found.mean((1, 2, 3)) / 140
    assert 0.6 < light.min() < 0.8 and 1.2 < light.max() < 1.4
    same = dino_data.change_colors(views, generator, strength=0, hue=0, gray=0)
    assert (same - views).mean((2, 3)).abs().max() < 16


def test_sinkhorn_shares_out():
    torch.manual_seed(0)
    logits = torch.randn(64, 8) * 0.1
    logits[:, 0] += 0.5  # a prototype that would win everything
    q = dino_loss.sinkhorn(logits, 0.05)
    torch.testing.assert_close(q.sum(1), torch.ones(64))
    assert logits.argmax(1).unique().numel() < 3
    assert (q.sum(0) > 64 / 8 / 2).all() and (q.sum(0) < 64 / 8 * 2).all()
    loss = dino_loss.cross_entropy(logits, q)
    assert loss > dino_loss.cross_entropy(q.clamp(min=1e-6).log() * 0.1, q)


def test_hidden_patches():
    masks = dino_data.block_masks(64, 8, np.random.default_rng(0))
    share = masks.float().mean(1)
    assert masks.shape == (64, 64)
    assert (share == 0).sum() == 32
    assert ((share[share > 0] >= 0.2) & (share[share > 0] < 0.9)).all()


@torch.no_grad()
def test_the_class_token_is_that_of_the_whole_model():
    """Only it is computed in the last block."""
    network = dino_model.Network("nano-dino-8", 4, more=1).eval()
    dino, vit = network.dino, network.dino.vit
    for parameter in vit.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (dino.mean, dino.std))
    entered = []
    vit.blocks[-1].register_forward_pre_hook(lambda _, given: entered.append(given[0]))
    tokens = vit.forward_features((images / 255 - mean) / std)
    found, patches = network(images)
    torch.testing.assert_close(found, tokens[:, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(patches, entered[0][:, 1:], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_hidden_patches_do_not_reach_the_student():
    network = dino_model.Network("nano-dino-8", 4).eval()
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    other = 255 - images
    nothing, some = torch.zeros(2, 1, 16, dtype=torch.bool)
    some[0, :3] = True
    for kind in (0, 1):  # class token, patches
        seen = network(images)[kind]
        assert torch.equal(network(images, nothing)[kind], seen)
        assert not torch.allclose(network(images, some)[kind], seen)
        assert not torch.allclose(network(images, some)[kind], network(other, some)[kind])
        assert torch.equal(network(images, ~nothing)[kind], network(other, ~nothing)[kind])


def test_what_training_added_is_left_away():
    network = dino_model.Network("nano-dino-8", 4, more=2).eval()
    assert len(network.dino.vit.blocks) == 4
    torch.nn.init.normal_(network.dino.vit.norm.weight)
    dino = dino_model.encoder_of(network, "nano-dino-8")
    assert len(dino.vit.blocks) == 2
    images = torch.randn(1, 3, 32, 24)
    seen = []
    network.dino.vit.blocks[1].register_forward_hook(lambda _, __, output: seen.append(output))
    network.dino.features(images)
    norm = torch.nn.LayerNorm(160, eps=1e-6)
    torch.testing.assert_close(dino.features(images).tokens, norm(seen[0])[:, 1:])
    # A copy: what is done to it, such as whitening, does not reach the network.
    dino.vit.blocks[0].attn.qkv.weight.data.zero_()
    assert network.dino.vit.blocks[0].attn.qkv.weight.abs().max() > 0


def test_auc():
    assert score_dino.auc(np.array([3.0, 2.0]), np.array([1.0, 0.0])) == 1
    assert score_dino.auc(np.array([1.0]), np.array([1.0, 1.0])) == 0.5
    assert score_dino.auc(np.array([0.0, 2.0]), np.array([1.0])) == 0.5


def test_knn_is_a_mean_over_classes():
    bank = torch.eye(3).repeat_interleave(4, 0)
    classes = torch.tensor([0, 1, 20]).repeat_interleave(4)
    queries, asked = torch.eye(3)[[0, 0, 0, 1, 2]], torch.tensor([0, 0, 0, 1, 1])
    found = score_dino.knn_accuracy(bank, classes, queries, asked, k=4)
    assert found == {"all": 75.0, "stuff": 75.0}


def test_labels_of_patches():
    found = score_dino.labelled_scenes("check", 2, 4, size=64, window=32)
    assert found.images.shape == (8, 32, 32, 3)
    assert found.classes.shape == found.segments.shape == (8, 8, 8)
    semantic = render((SPLITS["check"], 1), 128).semantic
    # The last window of the second scene is its lower right quarter.
    for row, column in ((0, 0), (3, 5), (7, 7)):
        cell = semantic[64 + 8 * row : 72 + 8 * row, 64 + 8 * column : 72 + 8 * column]
        counts = np.bincount(cell.ravel(), minlength=256)
        assert counts[found.classes[7, row, column]] == counts.max()
    things = found.segments >= 1000
    assert (found.classes[things & (found.classes < len(CLASSES))] >= 12).all()


def test_the_shipped_weights_know_more_than_pixels():
    """A few scenes of the benchmark; the record beside the weights has the whole of it."""
    dino = DINO("nano-dino-8", pretrained="ovseg")
    bank, queries = (score_dino.labelled_scenes(s, 20, 8, window=64) for s in ("train", "val"))
    knn = score_dino.knn_scores(dino, bank, queries, 60, 40)
    assert knn["k"]["all"] > knn["pixels"]["all"] + 15
    assert knn["v"]["all"] > knn["pixels"]["all"] + 15
    assert knn["v"]["things"] > knn["pixels"]["things"] + 15
    few = slice(0, 16)
    pairs = score_dino.auc_scores(
        score_dino.all_features(dino, queries.images[few]), queries.segments[few], 3000
    )
    for part in ("all", "things", "near"):
        for kind in ("k", "v"):
            assert pairs[kind][part] > pairs["pixels"][part] + 5


def test_the_record_is_of_the_shipped_weights():
    record = json.loads(nano_file("nano-dino-8.record.json").read_text())
    weights = nano_file("nano-dino-8.safetensors").read_bytes()
    assert record["sha256"] == hashlib.sha256(weights).hexdigest()
    assert len(weights) < 1.5e6
    # Its aim: in windows as the nano methods read them, 15 points above pixels.
    knn = record["knn_windows_64"]
    assert knn["v"]["all"] >= knn["pixels"]["all"] + 15
    assert record["arguments"] == recorded_by(train_dino, amp=True)


def test_whitened_values_change_nothing_else():
    dino = DINO("nano-dino-8", pretrained="ovseg")
    images = score_dino.labelled_scenes("train", 12, 8, window=64).images
    other = torch.randn(2, 3, 48, 64)
    before = dino.features(other)
    dino_whiten.whiten_values(dino, images, floor=0.01)
    after = dino.features(other)
    for kind in ("tokens", "q", "k"):
        torch.testing.assert_close(
            getattr(after, kind), getattr(before, kind), atol=1e-4, rtol=1e-4
        )
    assert not torch.allclose(after.v, before.v, atol=0.1)
    for head in dino_whiten.patch_values(dino, images).double().unbind(1):
        torch.testing.assert_close(head.mean(0), torch.zeros(40).double(), atol=1e-3, rtol=0)
        covariance = torch.cov(head.T)
        variance = covariance.diagonal()
        assert variance.max() < 1.01 and variance.median() > 0.4
        assert (covariance - variance.diag()).abs().max() < 0.01
