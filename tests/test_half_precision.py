"""Every method with its encoders in bfloat16, against float32, on the CPU.

Measured: drawn towers, six pictures with up to five classes, 96.6 to 100 % of the labels of a
picture are the same (without CLIPtrase, where a cluster may change its vote, and CLIP-DINOiser:
98.6 to 100 %); nano models on scenes of the demo 99.9 to 100 %.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ovseg
from tests.drawn import draw_picture
from tests.small_methods import METHODS, give_words, small_method

SCENES = Path(__file__).parents[1] / "demo" / "images"
#: The least share of the same labels in all of three pictures; drawn patches are close calls.
AGREEMENT = {"cliptrase_vit-b16": 0.95, "clip_dinoiser_vit-b16": 0.97}


def agreement(exact, half, images, classes):
    encoders = [half.model.image_encoder, half.model.text_encoder, *half.model.encoders.values()]
    assert {encoder.dtype for encoder in encoders} == {torch.bfloat16}
    same = []
    for image in images:
        a, b = exact.segment(image, classes), half.segment(image, classes)
        assert np.isfinite(b.scores).all()
        same.append(a.mask == b.mask)
        assert len(np.unique(a.mask)) > 1
    return np.concatenate([one.ravel() for one in same]).mean()


@pytest.mark.parametrize("name", METHODS)
def test_methods_on_drawn_towers(name):
    exact, half = small_method(name), small_method(name, precision="bf16")
    give_words(exact)
    classes = give_words(half)
    images = [draw_picture(h, w, seed=4) for h, w in ((48, 64), (41, 67), (90, 60))]
    images = [image.permute(1, 2, 0).numpy() for image in images]
    assert agreement(exact, half, images, classes) > AGREEMENT.get(name, 0.98)


@pytest.mark.parametrize("name", ["maskclip_nano", "naclip_nano", "cliptrase_nano"])
def test_trained_towers(name):
    settings = {"device": "cpu", "templates": "none", "text_cache": False}
    exact = ovseg.create_model(name, **settings)
    half = ovseg.create_model(name, precision="bf16", **settings)
    images = [np.asarray(Image.open(SCENES / f"scene_{i}.jpg").convert("RGB")) for i in (1, 2)]
    classes = (SCENES / "classes.txt").read_text(encoding="utf-8").splitlines()
    assert agreement(exact, half, images, classes) > 0.995
