"""Trident agrees with its authors' public code on drawn weights.

Recorded by tools/record/record_trident.py from github.com/YuHengsss/Trident at a93b346.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from ovseg.dense import Picture
from ovseg.encoders.base import RandomWeightsWarning
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
    draw_dino(model.encoders["dino"].vit)
    model.vocabulary = Vocabulary.load([f"class {i}" for i in range(case.QUERIES)])
    model.text = torch.from_numpy(RECORD["text"])
    model.query_to_class = torch.arange(case.QUERIES)
    return model


def draw_dino(vit) -> None:
    """The authors' names of weights are timm's."""
    case.draw_weights(vit, "dino")


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
            from ovseg.dense import Resized

            labels = model.naming().decode(Resized(logits, expected.shape)).labels
    assert (labels.numpy() == expected).mean() > 0.999
