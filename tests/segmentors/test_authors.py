"""Agreement with the authors' public code, from recorded results (see `tests.authors`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.authors import CASES, PICTURES, build_case, keep, run_case
from tests.drawn import draw_picture

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
