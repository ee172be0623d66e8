"""Agreement with the authors' code of CLIPSelf on the same weights, pictures and boxes.

Recorded by tools/record/record_clipself.py from github.com/wusize/CLIPSelf, commit 1c7fe9c, in
float32 on the CPU.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ovseg.datasets.regions import GivenBoxes, grid_shapes
from ovseg.dense import dense_map, mask_features
from tests.segmentors.distillers import clipself_case as case
from tests.segmentors.distillers.towers import batch, drawn, pairs_sample, recorded, samples

MODES = ("given", "grid")


def assert_agree(found, expected: np.ndarray, name: str = "", tolerance: float = 1e-4) -> None:
    """Largest difference in units of the largest value."""
    found = case.thin(name, np.asarray(found.detach() if torch.is_tensor(found) else found))
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_grids():
    assert sorted(grid_shapes(6)) == sorted(map(tuple, recorded("samples")["grid_shapes"]))


@pytest.mark.parametrize("mode", MODES)
def test_samples(mode):
    """Whole image, boxes and crops; pixels may differ by nothing."""
    truth = recorded("samples")
    prepared = batch(drawn("vit"), samples(mode))
    crops = prepared["crops"].split([len(b) for b in prepared["boxes"]])
    for i in range(len(case.PICTURES)):
        for name, found in (
            ("image", prepared["inputs"][i]),
            ("boxes", prepared["boxes"][i]),
            ("crops", crops[i]),
        ):
            name = f"{name}_{mode}_{i}"
            assert_agree(found, truth[name], name, 1e-6)


def test_which_proposals_count():
    """The same ones, in whatever order."""
    for i, size in enumerate(case.PICTURES):
        boxes = np.array(case.PROPOSALS[i], np.float32)
        boxes[:, 2:] += boxes[:, :2]
        found = GivenBoxes(**case.LIMITS).transform(
            {"img": np.zeros((size[1], size[0], 3), np.uint8), "given_boxes": boxes}
        )["boxes"]
        expected = recorded("samples")[f"boxes_given_{i}"] * max(size)
        ours, theirs = (sorted(map(tuple, b.round(3).tolist())) for b in (found, expected))
        np.testing.assert_allclose(ours, theirs, atol=1e-2)


@pytest.mark.parametrize("kind", case.KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_features_loss_and_gradients(kind, mode):
    truth, model = recorded(kind), drawn(kind)
    data = batch(model, samples(mode))
    features = model.student_features(data["inputs"], data["boxes"])
    assert_agree(features, truth[f"student_{mode}"])
    assert_agree(model.teacher(data["crops"]), truth[f"teacher_{mode}"])
    loss = model(**data, mode="loss")["loss_cosine"]
    assert_agree(loss, truth[f"loss_{mode}"])
    if mode == "given":
        loss.backward()
        for name in case.GRADIENTS[kind]:
            grad = model.student.visual.get_parameter(name).grad
            assert_agree(grad, truth[f"grad_{name}"], f"grad_{name}")


@pytest.mark.parametrize("kind", case.KINDS)
@torch.no_grad()
def test_dense_map_and_masks(kind):
    truth, model = recorded(kind), drawn(kind)
    dense = dense_map(model.student, batch(model, samples("grid"))["inputs"])
    assert_agree(dense[:, ::3, ::4, ::4], truth["dense"])
    masks = [torch.from_numpy(case.draw(f"masks{i}", (3, 12, 12)) > 0.3) for i in range(2)]
    assert_agree(mask_features(dense, masks), truth["masks"])


@pytest.mark.parametrize("kind", case.KINDS)
def test_loss_of_words(kind, monkeypatch):
    from ovseg.segmentors.distillers import RegionCLIP

    truth = recorded(kind)
    text = {"type": "CLIPText", "model": "nano-vit-8", "pretrained": "ovseg"}
    model = drawn(kind, "RegionCLIP", text_encoder=text, words=["a"], keep_start=False)
    words = torch.nn.functional.normalize(torch.from_numpy(case.draw_words()), dim=-1)
    model.text = words
    monkeypatch.setattr(type(model.text_encoder), "logit_scale", case.LOGIT_SCALE)
    monkeypatch.setattr(RegionCLIP, "choose_words", lambda *_: torch.from_numpy(truth["words"]))
    inputs = batch(model, samples("given"))["inputs"]
    pairs = [pairs_sample(b, w) for b, w in zip(truth["pairs"], case.LABELS, strict=True)]
    loss = model.loss(inputs, pairs, [p.gt_regions.boxes for p in pairs])["loss_words"]
    assert_agree(loss, truth["loss_words"])
