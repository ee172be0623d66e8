from __future__ import annotations

import numpy as np
import pytest

import ovseg
from ovseg.datasets.scenes.classes import CLASSES
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS
from tests.tools.nano import score_fcclip

SCENES = 5


@pytest.fixture(scope="module")
def model():
    return ovseg.create_model("fcclip_nano", device="cpu").model


def test_what_is_outlined_and_named(model, monkeypatch):
    """Masks that are right, but for those of the first scene; names that are right by halves."""
    scenes = [render((SPLITS["check"], i), 256) for i in range(SCENES)]
    seen = [
        [t for t in s.things if (s.instances == t.instance).mean() >= score_fcclip.SMALLEST]
        for s in scenes
    ]
    order = iter(range(SCENES))

    def answer(_, image):
        i = next(order)
        assert np.array_equal(image, scenes[i].image)
        masks = np.stack([scenes[i].instances == t.instance for t in seen[i]])
        right = np.array([CLASSES.index(t.name) for t in seen[i]])
        wrong = (right + 1) % len(CLASSES)
        return masks & (i > 0), {"trained": right, "frozen": wrong, "both": right}

    monkeypatch.setattr(score_fcclip, "judged", answer)
    found = score_fcclip.scores(model, "check", SCENES)
    total = sum(map(len, seen))
    share = 100 * (total - len(seen[0])) / total
    assert found == pytest.approx(
        {"things": total, "outlined": share, "iou": share, "trained": 100, "frozen": 0, "both": 100}
    )


def test_opinions_are_those_of_segmentations(model):
    scene = render((SPLITS["check"], 3), (200, 256))
    model.set_vocabulary(list(CLASSES))
    before = model.alpha, model.beta
    masks, best = score_fcclip.judged(model, scene.image)
    assert (model.alpha, model.beta) == before
    assert masks.shape[1:] == (200, 256) and masks.dtype == bool
    assert all(len(classes) == len(masks) for classes in best.values())
    # The panoptic result is made of such masks under the names of both.
    result = ovseg.create_model("fcclip_nano", device="cpu").segment(
        scene.image, list(CLASSES), task="panoptic"
    )
    assert result.segments
    for segment in result.segments:
        label = CLASSES.index(result.classes[segment.class_id])
        inside = result.ids == segment.id
        covered = masks[best["both"] == label][:, inside].mean(1)
        assert covered.max() > 0.9
