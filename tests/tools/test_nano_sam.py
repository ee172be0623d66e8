from __future__ import annotations

import contextlib
import io
import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import default_collate

from ovseg.datasets.scenes.classes import STUFF
from ovseg.datasets.scenes.render import render
from ovseg.encoders import SAM, sam_build
from ovseg.encoders.sources import nano_file
from ovseg.encoders.weights import sha256_of
from tests.tools.nano import recorded_by, sam_data, sam_loss, sam_model, score_sam, train_sam

TINY = sam_build.SAMArchitecture(
    embed_dim=32, depth=2, num_heads=2, global_attn_indexes=(1,), window_size=3, image_size=64,
    patch_size=8, out_chans=32, decoder_heads=2, decoder_mlp_dim=32, iou_hidden_dim=16,
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def tiny():
    """An architecture small enough to train here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sam_build.SAM_ARCHITECTURES, "tiny", TINY)
        yield


def command(folder, *more):
    quick = "--model tiny --workers 0 --warmup 2 --eval-scenes 2 --no-amp --lr 3e-3"
    small = "--small-size 32 --small-steps 2"
    return ["--work-dir", str(folder), *quick.split(), *small.split(), *more]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short run of the recipe: its folder and what it printed."""
    folder, printed = tmp_path_factory.mktemp("sam"), io.StringIO()
    more = "--steps 24 --small-steps 6 --batch 4 --eval-every 24 --log-every 6".split()
    with contextlib.redirect_stdout(printed):
        train_sam.main(command(folder, *more))
    return folder, printed.getvalue()


def test_the_loss_falls(finished):
    lines = re.findall(r"^step (\d+)/24 \d+ s  (.*)$", finished[1], re.M)
    assert [int(step) for step, _ in lines] == [6, 12, 18, 24]
    terms = [dict(re.findall(r"([a-z]+) ([\d.]+)", line)) for _, line in lines]
    for name in ("single", "several", "quality"):
        assert float(terms[-1][name]) < 0.97 * float(terms[0][name]), name


def test_the_weights_reload_through_the_public_class(finished):
    path = finished[0] / "tiny.safetensors"
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}
    sam = SAM("tiny", weights=str(path))
    trained = torch.load(finished[0] / "last.pt")["sam"]
    for name, tensor in sam.sam.state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, trained[name], rtol=1e-3, atol=1e-4, msg=name)


def test_the_record_says_how_they_were_made(finished):
    folder, printed = finished
    text = (folder / "tiny.record.json").read_text()
    record = json.loads(text)
    assert record["arguments"]["steps"] == 24
    assert record["images"] == 24 * 4
    assert re.fullmatch("[0-9a-f]{64}", record["sha256"])
    kinds = {f"{kind}_{of}" for kind in score_sam.KINDS for of in ("things", "stuff")}
    assert set(record["held_out_iou"]) == kinds | {"quality_correlation"}
    assert {"seconds", "hardware", "versions", "parameters"} <= set(record)
    assert json.dumps(record["held_out_iou"]) in printed
    assert str(folder) not in text


def test_training_decodes_as_segment_anything_does():
    model = sam_model.NanoSAM("tiny", torch.device("cpu"), amp=False)
    model.encoder.requires_grad_(False)
    data = sam_data.PromptedScenes(2, 64, model.mask_side, sam_data.Counts(1, 1, 1))
    batch = default_collate([data[0], data[1]])
    embedding, _ = model.encode(batch["image"], batch["valid"])
    points = batch["points"].flatten(0, 1), batch["labels"].flatten(0, 1)
    prompts = batch["boxes"].flatten(0, 1), batch["coarse"].flatten(0, 1)
    logits, quality = model.decode(embedding.repeat_interleave(3, 0), points, *prompts)
    for i in range(2):
        own = slice(3 * i, 3 * i + 3)
        shown = (points[0][own], points[1][own]), prompts[0][own], prompts[1][own]
        for several, part in ((False, slice(1)), (True, slice(1, None))):
            theirs = model.encoder.prompt_masks(embedding[i], *shown, multimask=several)
            torch.testing.assert_close(logits[own, part], theirs[0], rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(quality[own, part], theirs[1], rtol=1e-4, atol=1e-4)


def test_training_pads_as_the_public_class_does():
    model = sam_model.NanoSAM("tiny", torch.device("cpu"), amp=False)
    model.encoder.requires_grad_(False)
    image = render((2, 0), (48, 64)).image
    padded = torch.from_numpy(np.pad(image, ((0, 16), (0, 0), (0, 0)))).permute(2, 0, 1)[None]
    ours = model.encode(padded, torch.tensor([[48, 64]]))[0]
    torch.testing.assert_close(ours, score_sam.embed(model.encoder, image), rtol=1e-4, atol=1e-4)


def test_prompts_belong_to_their_masks():
    data = sam_data.PromptedScenes(40, 64, 32, sam_data.Counts(2, 1, 2))
    shapes = set()
    for i in range(40):
        sample = data[i]
        height, width = sample["valid"].tolist()
        shapes.add((height == width, height < width))
        assert max(height, width) == 64
        masks = sample["masks"]
        assert not masks[:, height:].any() and not masks[:, :, width:].any()
        for p, mask in enumerate(masks):
            assert mask.any()
            for (x, y), label in zip(sample["points"][p].long(), sample["labels"][p], strict=True):
                assert label == -1 or mask[y, x] == bool(label)
            shown = int((sample["labels"][p] >= 0).sum())
            assert shown == 1 or p >= 3
            box = torch.zeros_like(mask)
            x1, y1, x2, y2 = sample["boxes"][p].round().long().tolist()
            box[y1 : y2 + 1, x1 : x2 + 1] = True
            assert (box & mask).sum() > 0.5 * mask.sum()
        assert sample["coarse"][3:].any() and not sample["coarse"][:3].any()
        again = data[i]
        assert all(torch.equal(again[name], tensor) for name, tensor in sample.items())
    assert shapes == {(True, False), (False, True), (False, False)}


def test_clutter_is_no_target():
    scene = render((2, 1), 64)
    scene.semantic[:20] = 255
    scene.instances[:20] = 0
    things, stuff = sam_data.targets(scene)
    assert len(stuff) == len(np.unique(scene.semantic[scene.semantic < len(STUFF)]))
    assert not any(mask[:20].any() for mask in things + stuff)


@pytest.mark.parametrize(
    ("logits", "truth", "focal", "dice"),
    [
        (20.0, 1.0, 0.0, 0.0),
        (-20.0, 0.0, 0.0, 0.0),
        (-20.0, 1.0, 0.25 * 20, 1 - 1 / 5),
        (20.0, 0.0, 0.75 * 20, 1 - 1 / 5),
        (0.0, 1.0, 0.25 * 0.25 * np.log(2), 1 - 5 / 7),
    ],
)
def test_losses_of_a_mask_of_four_pixels(logits, truth, focal, dice):
    guess, wanted = torch.full((3, 2, 2), logits), torch.full((3, 2, 2), truth)
    focal, dice = torch.full((3,), float(focal)), torch.full((3,), float(dice))
    torch.testing.assert_close(sam_loss.focal_loss(guess, wanted), focal, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sam_loss.dice_loss(guess, wanted), dice, rtol=1e-4, atol=1e-5)
    total = sam_loss.mask_loss(guess, wanted)
    torch.testing.assert_close(total, 20 * focal + dice, rtol=1e-4, atol=1e-4)


def test_the_best_of_several_masks_is_taught():
    truth = torch.zeros(2, 4, 4)
    truth[0, :2], truth[1, :, :1] = 1, 1
    right = 8 * truth - 4
    logits = torch.stack([torch.stack([-right[0], right[0]]), torch.stack([right[1], -right[1]])])
    assert sam_loss.best_of(logits, truth).tolist() == [1, 0]
    iou = sam_loss.true_iou(logits, truth[:, None])
    torch.testing.assert_close(iou, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))


@pytest.fixture(scope="module")
def shipped():
    return SAM("nano-sam-8", pretrained="ovseg", image_size=256)


def test_the_packaged_weights_find_things(shipped):
    """Floors far below the benchmark's figures, on scenes of another split."""
    scores = score_sam.score(shipped, "check", 12)
    assert scores["box_things"] > 0.87
    assert scores["point_things"] > 0.72
    assert scores["point_best_things"] >= scores["point_things"]
    assert scores["mask_box_point_things"] > 0.83
    assert scores["quality_correlation"] > 0.5


def test_the_packaged_weights_know_their_better_masks(shipped):
    """Of two answers to points on one thing, the one believed better mostly is."""
    right = []
    for i in range(12):
        scene = render((2, 100 + i), 256)
        masks = [mask for group in sam_data.targets(scene) for mask in group]
        _, pairs = score_sam.answer(shipped, scene.image, masks, np.random.default_rng(i))
        belief, true = pairs[: 3 * len(masks)].reshape(-1, 3, 2).transpose(2, 0, 1)
        apart = np.abs(true[:, 0] - true[:, 1]) > 0.05
        right += ((belief[:, 0] > belief[:, 1]) == (true[:, 0] > true[:, 1]))[apart].tolist()
    assert len(right) > 5
    assert np.mean(right) > 0.65


def test_the_packaged_weights_are_those_of_the_record():
    record = json.loads(nano_file("nano-sam-8.record.json").read_text())
    path = nano_file("nano-sam-8.safetensors")
    assert path.stat().st_size < 4.5e6
    assert sha256_of(path) == record["sha256"]
    assert record["arguments"] == recorded_by(train_sam, amp=True)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [(1.0, 0.0), (0.5, 0.6931), (0.25, 1.3863)],
    ids=["all of it", "half", "a quarter"],
)
def test_grouping_counts_what_attention_loses(kept, expected):
    # The left half of a picture of 4 x 4 patches is a mask; its patches keep so much inside.
    masks = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    masks[..., :16] = True
    left = torch.tensor([True, True, False, False]).repeat(4)
    row = torch.where(left, kept / 8, (1 - kept) / 8)
    loss = sam_loss.grouping_loss(row.expand(1, 2, 16, 16), (4, 4), masks)
    torch.testing.assert_close(loss, torch.tensor(expected), rtol=0, atol=1e-3)


def test_grouping_without_a_patch_inside_is_nothing():
    masks = torch.zeros(1, 2, 32, 32, dtype=torch.bool)
    masks[0, 0, 3:9, 3:9] = True  # smaller than a patch and across four
    assert sam_loss.grouping_loss(torch.full((1, 2, 16, 16), 1 / 16), (4, 4), masks) == 0
