"""Losses: as the public code of FC-CLIP gives them, and where it would not answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ovseg.heads import mask_criterion
from ovseg.registry import MODELS
from tests.heads.criterion_case import CASES, WEIGHTS, Points, draw_case

DATA = Path(__file__).parent / "data"
NAMES = ("loss_class", "loss_mask", "loss_dice")


def build(**settings):
    return MODELS.build(dict(type="MaskCriterion", num_points=32, **settings))


def target(*labels, size=16):
    masks = torch.zeros(len(labels), size, size, dtype=torch.bool)
    for row, mask in enumerate(masks):
        mask[row :: len(labels)] = True
    return torch.tensor(labels, dtype=torch.long), masks


def prediction(batch, queries=4, classes=3, size=4, layers=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        dict(
            masks=torch.randn(batch, queries, size, size, generator=generator).requires_grad_(),
            logits=torch.randn(batch, queries, classes + 1, generator=generator).requires_grad_(),
        )
        for _ in range(layers)
    ]


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_the_authors(name, monkeypatch):
    recorded = np.load(DATA / f"fcclip-losses-{name}.npz")
    predictions, targets = draw_case(name)
    criterion = MODELS.build(
        dict(
            type="MaskCriterion",
            **dict(zip(("class_weight", "mask_weight", "dice_weight"), WEIGHTS, strict=True)),
            num_points=CASES[name]["points"],
        )
    )
    matched, matcher = [], criterion.matcher
    criterion.matcher = lambda *args: matched.append(matcher(*args)) or matched[-1]
    monkeypatch.setattr(torch, "rand", Points())
    losses = criterion(predictions, targets)
    monkeypatch.undo()

    assert set(losses) == {key for key in recorded.files if key.startswith("loss")}
    for key, value in losses.items():
        np.testing.assert_allclose(value.detach(), recorded[key], atol=1e-5, rtol=1e-5)
    sum(losses.values()).backward()
    layers = CASES[name]["layers"]
    for layer, found in enumerate(predictions):
        pairs = matched[0 if layer == layers - 1 else layer + 1]
        for image, pair in enumerate(pairs):
            np.testing.assert_array_equal(torch.stack(pair), recorded[f"pairs_{layer}_{image}"])
        for key in ("logits", "masks"):
            np.testing.assert_allclose(
                found[key].grad, recorded[f"grad_{key}_{layer}"], atol=1e-5, rtol=1e-4
            )


@pytest.mark.parametrize(
    "targets",
    [
        [target(), target()],
        [target(), target(1, 2)],
        [target(0, 1, 2, 0, 1, 2), target(1)],  # more segments than queries
    ],
    ids=["none", "one-image-empty", "crowded"],
)
def test_every_prediction_gets_a_gradient(targets):
    predictions = prediction(2, layers=3)
    losses = build()(predictions, targets)
    assert set(losses) == {n + s for n in NAMES for s in ("", "_0", "_1")}
    sum(losses.values()).backward()
    for found in predictions:
        assert found["masks"].grad is not None
        assert torch.isfinite(found["logits"].grad).all()
        assert found["logits"].grad.abs().sum() > 0
    if not sum(len(labels) for labels, _ in targets):
        assert losses["loss_mask"] == losses["loss_dice"] == 0


def test_seeded_points_make_batches_divisible():
    """Losses of two images are those of each alone, each with its share of what they divide by."""
    targets = [target(0, 2), target(1)]
    (both,) = prediction(2)
    criterion = build()
    criterion.seed_points([11, 12])
    whole = criterion([both], targets)
    parts = []
    for i in range(2):
        criterion.seed_points([11 + i])
        alone = {key: value[i : i + 1] for key, value in both.items()}
        parts.append(criterion([alone], targets[i : i + 1]))
    for name, shares in (("loss_mask", (2, 1)), ("loss_class", (2.2, 1.3))):
        expected = sum(s * part[name] for s, part in zip(shares, parts, strict=True)) / sum(shares)
        torch.testing.assert_close(whole[name], expected)


def test_processes_share_what_is_divided_by(monkeypatch):
    """As if another process had three masks and five times the weight."""

    def add_other(sums):
        sums += torch.tensor([3.0, 9.3], dtype=sums.dtype)

    predictions, targets = prediction(1), [target(1)]
    criterion = build()
    criterion.seed_points([0])
    alone = criterion(predictions, targets)
    monkeypatch.setattr(mask_criterion, "all_reduce", add_other)
    monkeypatch.setattr(mask_criterion, "get_world_size", lambda: 2)
    shared = criterion(predictions, targets)
    torch.testing.assert_close(shared["loss_mask"], alone["loss_mask"] / 2)
    torch.testing.assert_close(shared["loss_dice"], alone["loss_dice"] / 2)
    torch.testing.assert_close(shared["loss_class"], alone["loss_class"] * 1.3 / 5.3)


def test_mixed_precision_is_close():
    predictions, targets = prediction(2), [target(0, 2), target(1)]
    criterion = build()
    criterion.seed_points([1, 2])
    exact = criterion(predictions, targets)
    with torch.autocast("cpu", torch.bfloat16):
        half = [{key: value.bfloat16() for key, value in p.items()} for p in predictions]
        rounded = criterion(half, targets)
    for name, value in exact.items():
        assert rounded[name].dtype == torch.float32
        torch.testing.assert_close(rounded[name], value, atol=0.05, rtol=0.02)


@pytest.mark.parametrize(
    "targets, message",
    [
        ([target(0)], "1 targets were given for 2"),
        ([target(0), target(3)], "labels run from 0 to 3, but the model has 3 classes"),
        ([target(0), target(0, size=8)], "pad them"),
    ],
)
def test_targets_that_do_not_fit(targets, message):
    with pytest.raises(ValueError, match=message):
        build()(prediction(2), targets)


def test_seeds_that_do_not_fit():
    criterion = build()
    criterion.seed_points([1])
    with pytest.raises(ValueError, match="1 seeds"):
        criterion(prediction(2), [target(0), target(0)])


@pytest.mark.parametrize("bad", [dict(oversample_ratio=0.5), dict(importance_ratio=1.5)])
def test_settings_that_make_no_sense(bad):
    with pytest.raises(ValueError, match="oversample_ratio"):
        build(**bad)


def test_a_prediction_that_is_no_number_gives_a_loss_that_is_none():
    predictions = prediction(1)
    predictions[0]["masks"].data[0, 0] = float("nan")
    losses = build()(predictions, [target(0, 1, 2, 0)])
    assert not torch.isfinite(sum(losses.values()))
