from __future__ import annotations

import contextlib
import io
import json
import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ovseg.datasets.scenes.classes import CLASSES, STUFF
from ovseg.datasets.scenes.render import render
from ovseg.encoders.clip_conv import CLIPConv
from ovseg.encoders.clip_text import CLIPText
from ovseg.encoders.digests import sha256_of
from ovseg.encoders.sources import nano_file
from tests.tools.nano import clip_loss, convclip_data, convclip_model, recorded_by, score_convclip
from tests.tools.nano import train_convclip as recipe

MODEL = "nano-convnext"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short run of the recipe: its folder and what it printed."""
    folder, printed = tmp_path_factory.mktemp("nano"), io.StringIO()
    options = (
        "--steps 12 --batch 8 --sizes 64 96 --small 0 --workers 0 --warmup 2 --bank 48 "
        "--eval-every 12 --eval-scenes 1 --log-every 4"
    )
    with contextlib.redirect_stdout(printed):
        recipe.main(["--work-dir", str(folder), *options.split()])
    return folder, printed.getvalue()


def test_the_loss_falls(finished):
    _, output = finished
    steps = re.findall(r"^step (\d+)/12 \d+ s  (.*)$", output, re.M)
    assert [int(step) for step, _ in steps] == [4, 8, 12]
    totals = [sum(float(n) for n in re.findall(r" ([\d.]+)", f" {line}")) for _, line in steps]
    assert len(re.findall(r"[a-z_]+ [\d.]+", steps[0][1])) == 5
    assert totals[-1] < 0.95 * totals[0]


def test_the_record_says_how_they_were_made(finished):
    folder, output = finished
    record = json.loads((folder / f"{MODEL}.record.json").read_text())
    assert record["recipe"] == "tools/nano/train_convclip.py"
    assert record["images"] == 6 * 8 + 6 * 4
    assert set(record["held_out_scenes"]) == set(score_convclip.VIEWS)
    assert json.dumps(record["held_out_scenes"]) in output
    assert str(folder) not in json.dumps(record)


def test_the_weights_load_into_the_encoders(finished):
    folder, _ = finished
    weights = folder / f"{MODEL}.safetensors"
    model = convclip_model.ConvCLIP(MODEL, torch.device("cpu"), amp=False)
    model.clip.load_state_dict(torch.load(folder / "last.pt")["clip"])
    for parameter in model.clip.parameters():
        parameter.data = parameter.half().float()
    model.clip.eval()
    tower, text = (kind(MODEL, "ovseg", weights) for kind in (CLIPConv, CLIPText))
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (tower.mean, tower.std))
    normalised = (images / 255 - mean) / std
    with torch.no_grad():
        features = model.res5(images)
        torch.testing.assert_close(tower.multiscale(normalised)["res5"], features)
        cells = model.embed(features.flatten(2).transpose(1, 2).flatten(0, 1))
        dense = F.normalize(tower.dense(normalised), dim=1)
        torch.testing.assert_close(dense.flatten(2).transpose(1, 2).flatten(0, 1), cells)
        whole = F.normalize(tower(normalised), dim=-1)
        torch.testing.assert_close(model.embed(features.mean((2, 3))), whole)
        words = F.normalize(text.encode(["a cat", "snow"]), dim=-1)
        torch.testing.assert_close(model.encode_text(["a cat", "snow"]), words)


def test_batches_go_through_the_sizes_and_keep_their_pixels():
    data = convclip_data.SceneBatches(10, 4, (64, 128), small=0)
    (small, captions, phrases), (large, *_) = data[0], data[1]
    assert small.shape == (4, 3, 64, 64)
    assert large.shape == (1, 3, 128, 128)
    assert len(captions) == len(phrases) == 4
    rest = convclip_data.SceneBatches(10, 4, (64, 128), small=0, start=1)
    assert len(rest) == 9
    assert torch.equal(rest[0][0], large)
    with pytest.raises(IndexError):
        rest[9]
    half = convclip_data.SceneBatches(10, 4, (64, 128), small=0.5)
    assert [half.count(step) for step in range(10)] == [4] * 5 + [1, 4, 1, 4, 1]


def test_regions_are_the_means_that_the_plan_says():
    features = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 3.0]]])
    plan = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.5]]])
    share = torch.tensor([[0.4, 0.0, 0.6]])
    pooled, word = clip_loss.regions(features, plan, share)
    assert word.tolist() == [0, 2]
    assert pooled.tolist() == [[1.0, 0.0], [0.0, 2.0]]


def test_pooling_weighs_cells_by_how_much_of_them_is_masked():
    features = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0] = True
    masks[1, :2, :3] = True  # all of the first cell, half of the second
    assert score_convclip.pool(features, masks).flatten().tolist() == pytest.approx([2.5, 4 / 3])


def test_scores_of_a_tower_that_knows_and_of_one_that_does_not():
    view = score_convclip.View(64, 64, 2.0)
    scenes = [render((2, i), 64, zoom=2.0, num_things=(1, 3)) for i in range(3)]
    labels = iter(torch.from_numpy(s.semantic.astype(np.int64)) for s in scenes)
    words = torch.eye(len(CLASSES))

    def oracle(images):
        label = next(labels)
        known = torch.where(label < len(CLASSES), label, 0)
        return F.one_hot(known, len(CLASSES)).permute(2, 0, 1)[None].float()

    found = score_convclip.scores(oracle, lambda v: v, words, view, 3)
    assert set(found.values()) - {found["miou"], found["miou_stuff"], found["miou_things"]} == {100}
    assert 0 < found["miou"] < 100  # classes that are nowhere count as 0
    sky = score_convclip.scores(
        lambda images: torch.eye(len(CLASSES))[0][None, :, None, None], lambda v: v, words, view, 3
    )
    assert sky["mask_things"] == sky["pixels_things"] == sky["miou_things"] == 0
    share = [np.mean([(s.semantic == 0).sum() for s in scenes])]
    known = np.mean([(s.semantic < len(CLASSES)).sum() for s in scenes])
    assert sky["pixels"] == pytest.approx(100 * share[0] / known, abs=0.06)
    assert sky["miou_stuff"] == pytest.approx(sky["pixels"] / len(STUFF), abs=0.06)


@pytest.mark.parametrize(("name", "things", "stuff"), [("1x", 60, 90), ("2x", 68, 90)])
def test_the_shipped_weights_name_masks_of_scenes_they_never_saw(name, things, stuff):
    tower = score_convclip.load(MODEL)
    found = score_convclip.scores(*tower, score_convclip.VIEWS[name], 24, "val")
    assert found["mask_things"] > things
    assert found["mask_stuff"] > stuff


def test_the_record_is_of_the_shipped_weights():
    record = json.loads(nano_file(f"{MODEL}.record.json").read_text())
    assert record["sha256"] == sha256_of(nano_file(f"{MODEL}.safetensors"))
    assert record["arguments"] == recorded_by(recipe, amp=False, eval_every=400)
