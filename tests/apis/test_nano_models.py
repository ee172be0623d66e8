"""The shipped nano weights do what they are shipped for."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

import ovseg
from ovseg.datasets.scenes.classes import CLASSES, STUFF
from ovseg.datasets.scenes.render import render
from ovseg.encoders.sources import nano_file, nano_models
from ovseg.evaluation.iou import scores_from_areas
from ovseg.evaluation.kernels import class_areas


@pytest.fixture(scope="module")
def scenes():
    return [render((0, i), 256) for i in range(24)]


def score(name, scenes):
    model = ovseg.create_model(name, device="cpu", templates="openai7")
    results = model.segment([s.image for s in scenes], "scenes", batch_size=8)
    areas = sum(
        class_areas(r.mask, s.semantic, len(CLASSES), 255)[0]
        for r, s in zip(results, scenes, strict=True)
    )
    return scores_from_areas(areas)


def test_maskclip_is_clearly_above_plain_tokens_on_held_out_scenes(scenes):
    plain, maskclip = score("clip_nano", scenes), score("maskclip_nano", scenes)
    assert maskclip["mIoU"] > 30
    assert maskclip["mIoU"] > plain["mIoU"] + 10
    assert np.nanmean(maskclip["IoU"][len(STUFF) :]) > 15


@pytest.mark.parametrize("name", nano_models())
def test_weights_are_those_of_their_record(name):
    record = json.loads(nano_file(f"{name}.record.json").read_text(encoding="utf-8"))
    weights = nano_file(f"{name}.safetensors")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == record["sha256"]
    assert weights.stat().st_size < 12e6


def test_names_in_a_picture_are_found():
    scene = render((0, 3), 256)
    shown = {CLASSES[i] for i in np.unique(scene.semantic) if (scene.semantic == i).mean() > 0.1}
    result = ovseg.segment(scene.image, list(CLASSES), model="maskclip_nano", device="cpu")
    assert shown <= {result.classes[i] for i in result.present}


def test_real_photographs_in_batches_as_alone(sample_data):
    paths = sorted((sample_data / "coco" / "val2017").glob("*.jpg"))[:6]
    model = ovseg.create_model("maskclip_nano", device="cpu", templates="none")
    alone = model.segment(paths, "coco-panoptic-133")
    together = model.segment(paths, batch_size=4)
    assert len({result.mask.shape for result in alone}) > 1
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a.mask, b.mask)
        np.testing.assert_array_equal(a.scores, b.scores)
