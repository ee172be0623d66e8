"""What CLIPSelf adds to the published loss: crops whose embedding stays what it was."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ovseg.errors import ConfigError
from ovseg.segmentors.distillers.clipself import KEPT_CROPS
from tests.segmentors.distillers.towers import batch, drawn, samples

pytestmark = pytest.mark.filterwarnings("ignore::ovseg.encoders.base.RandomWeightsWarning")


@torch.no_grad()
def test_what_is_kept_is_every_fourth_crop_of_each_picture():
    model = drawn("vit", keep_weight=0.5)
    data = batch(model, samples("grid"))
    counts = [len(boxes) for boxes in data["boxes"]]
    assert min(counts) > KEPT_CROPS and counts[0] % KEPT_CROPS  # the second begins anew
    kept = [c for crops in data["crops"].split(counts) for c in crops[::KEPT_CROPS]]
    kept = torch.stack(kept)
    cosines = F.cosine_similarity(model.student(kept), model.teacher(kept))
    assert float(model(**data)["loss_keep"]) == pytest.approx(0.5 * float(1 - cosines.mean()))


@torch.no_grad()
def test_nothing_is_lost_before_training():
    model = drawn("vit", keep_weight=1.0)
    model.student.load_state_dict(model.teacher.state_dict())
    losses = model(**batch(model, samples("grid")))
    assert float(losses["loss_keep"]) == pytest.approx(0, abs=1e-6)
    assert float(losses["loss_cosine"]) > 0.01


@torch.no_grad()
def test_the_published_loss_stands_alone_by_default():
    model = drawn("vit")
    assert set(model(**batch(model, samples("grid")))) == {"loss_cosine"}


@pytest.mark.parametrize("weight", ["loss_weight", "keep_weight"])
def test_negative_weights_are_refused(weight):
    with pytest.raises(ConfigError, match="at least 0"):
        drawn("vit", **{weight: -1.0})
