"""Agreement with the authors' public code, from recorded results (see `tests.authors`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ovseg.errors import ConfigError
from tests.authors import CASES, PICTURES, build_case, keep, run_case
from tests.drawn import draw_picture
from tests.tiny import build_segmentor

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("case", CASES)
def test_logits_and_labels_are_those_of_the_authors(case):
    model = build_case(case)
    found = [run_case(model, draw_picture(*picture)) for picture in PICTURES]
    ours = keep(*zip(*found, strict=True))
    with np.load(DATA / f"{case}.npz") as recorded:
        assert set(recorded) == set(ours)
        for number in range(len(PICTURES)):
            logits, theirs = ours[f"logits_{number}"], recorded[f"logits_{number}"]
            assert np.abs(logits - theirs).max() < 1e-4 * np.abs(theirs).max()
            agree = ours[f"labels_{number}"] == recorded[f"labels_{number}"]
            assert agree.mean() > 0.999


def test_the_class_token_matters():
    model = build_case("cliptrase_voc-20")
    picture = draw_picture(*PICTURES[0])
    logits, labels = run_case(model, picture)
    model.class_token_factor = False
    same, without = run_case(model, picture)
    assert (logits == same).all()
    assert (labels != without).mean() > 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"splice": True}, "splice"),
        ({"attention": {"type": "ProxyAttention"}, "guide": {"type": "CLIPGuide"}}, "ProxyAtt"),
    ],
)
def test_where_no_class_token_is_read_it_cannot_count(settings, message):
    with pytest.raises(ConfigError, match=f"{message}.*class_token_factor=False"):
        build_segmentor(**{"class_token_factor": True, **settings})


@pytest.mark.parametrize("protocol", [{"crop": 32, "stride": 16}, {"softmax": "patches"}])
def test_the_class_token_counts_under_any_protocol(protocol):
    model = build_segmentor("SCLIPAttention", class_token_factor=True, protocol=protocol)
    model.set_vocabulary(["cat", "dog"])
    (found,) = model.predict([draw_picture(40, 70, 3)], with_scores=True)
    assert found.areas.sum() == 40 * 70
    assert found.scores.isfinite().all()
