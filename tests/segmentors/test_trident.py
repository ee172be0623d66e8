"""Trident agrees with its authors' public code on drawn weights.

Recorded by tools/record/record_trident.py from github.com/YuHengsss/Trident at a93b346.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from ovseg.dense import Picture, Resized
from ovseg.encoders.base import RandomWeightsWarning
from ovseg.errors import ConfigError
from ovseg.registry import MODELS
from ovseg.text import Vocabulary
from tests.segmentors import trident_case as case

RECORD = np.load(Path(__file__).parent / "data" / "trident.npz")
PICTURES = range(len(case.SIZES))


@pytest.fixture(scope="module")
def model():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        model = MODELS.build(case.config()).eval()
    case.draw_weights(model.image_encoder.visual, "clip")
    case.draw_weights(model.encoders["sam"].sam, "sam")
    case.lift_quality(model.encoders["sam"].sam, float(RECORD["lift"]))
    case.draw_weights(model.encoders["dino"].vit, "dino")  # named in timm as by the authors
    model.vocabulary = Vocabulary.load([f"class {i}" for i in range(case.QUERIES)])
    model.text = torch.from_numpy(RECORD["text"])
    model.query_to_class = torch.arange(case.QUERIES)
    return model


def picture(model, index):
    pixels = case.draw_picture(index)
    data = model.data_preprocessor({"inputs": [pixels]})
    return Picture(data["inputs"][0], data["originals"][0])


@pytest.mark.parametrize("index", PICTURES)
def test_cosines_after_aggregation(model, index):
    with torch.no_grad():
        (logits,) = model.logits([picture(model, index)])
    grid = logits.source
    found = grid.rows(0, grid.size[0]).flatten(1).T.numpy()
    expected = RECORD[f"cosines_{index}"]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("index", PICTURES)
@pytest.mark.parametrize("refined", [False, True])
def test_labels(model, index, refined):
    shown = picture(model, index)
    expected = RECORD[f"{'mended' if refined else 'plain'}_{index}"]
    with torch.no_grad():
        (logits,) = model.logits([shown])
        if refined:
            encoder = model.encoders["sam"]
            labels = model.refiner(logits, shown, model.naming(), expected.shape, encoder).labels
        else:
            labels = model.naming().decode(Resized(logits, expected.shape)).labels
    assert (labels.numpy() == expected).mean() > 0.999


@pytest.mark.parametrize("window_batch", [1, 16])
def test_a_batch_gives_exactly_what_each_picture_gives_alone(model, window_batch):
    """Different sizes, one of them smaller than a window."""
    model.window_batch = window_batch
    pixels = [case.draw_picture(0), case.draw_picture(1), case.draw_picture(1)[:, :30, :90]]
    samples = model.predict(**model.data_preprocessor({"inputs": pixels}), with_scores=True)
    for image, together in zip(pixels, samples, strict=True):
        (alone,) = model.predict(**model.data_preprocessor({"inputs": [image]}), with_scores=True)
        assert torch.equal(together.pred_sem_seg.data, alone.pred_sem_seg.data)
        assert torch.equal(together.scores, alone.scores)
        assert together.areas.sum() == together.pred_sem_seg.data.numel()


def test_sam_encodes_each_picture_once(model, monkeypatch):
    sam, seen = model.encoders["sam"], []
    encode = sam.encode
    monkeypatch.setattr(sam, "encode", lambda images: (seen.append(len(images)), encode(images))[1])
    model.predict([case.draw_picture(0), case.draw_picture(1)])
    assert seen == [1, 1]


@pytest.mark.parametrize(
    "rule", ["MaskCLIPAttention", "PlainAttention", {"type": "ProxyAttention"}], ids=str
)
@pytest.mark.parametrize("parts", [{}, {"aggregator": None}, {"splice": False, "aggregator": None}])
def test_steps_combine_freely(rule, parts):
    attention = rule if isinstance(rule, dict) else {"type": rule}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        model = MODELS.build(case.config(attention=attention, **parts)).eval()
    model.refiner.iou_threshold = -5
    model.set_vocabulary(["cat", "sofa; couch"], background=["nothing"])
    (found,) = model.predict([case.draw_picture(1)[:, :70, :90]], with_scores=True)
    assert found.pred_sem_seg.data.shape == (1, 70, 90)
    assert torch.isfinite(found.scores).all()


def test_windows_must_be_joined_before_sam_correlates_them():
    with warnings.catch_warnings(), pytest.raises(ConfigError, match="splice=True"):
        warnings.simplefilter("ignore", RandomWeightsWarning)
        MODELS.build(case.config(splice=False))
