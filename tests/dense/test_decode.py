from __future__ import annotations

import numpy as np
import pytest
import torch

from ovseg.dense import decode
from tests.dense.test_logit_map import Held


def decoded_at_once(logits, query_to_class, num_classes, scale, prob, area, background):
    """SCLIP's rules on the whole map: softmax over queries, largest of a class, thresholds."""
    p = (logits * scale).softmax(0).numpy()
    classes = np.zeros((num_classes, *p.shape[1:]))
    for q, c in enumerate(query_to_class.tolist()):
        classes[c] = np.maximum(classes[c], p[q])
    if area > 0:
        best = classes.argmax(0)
        sizes = np.array([(best == c).sum() for c in range(num_classes)])
        foreground = sum(s for c, s in enumerate(sizes) if c != background)
        for c in range(num_classes):
            if c != background and sizes[c] <= area * foreground:
                classes[c] = 0
    labels = classes.argmax(0)
    if prob > 0:
        labels[classes.max(0) < prob] = background
    return labels, classes.max(0)


CASES = [
    # queries' classes, scale, prob, area, background
    ([0, 1, 2, 3], 40, 0, 0, None),
    ([0, 0, 0, 1, 2, 2], 40, 0, 0, None),
    ([0, 0, 1, 1, 2, 3], 5, 0.3, 0, 0),
    ([0, 1, 2, 3, 4, 5, 6, 7], 10, 0, 0.12, 0),
    ([0, 0, 1, 2, 3, 4, 5, 6], 8, 0.25, 0.15, 0),
    ([0], 40, 0, 0, None),
]


@pytest.mark.parametrize("band_bytes", [1, 4000, 10**9])
@pytest.mark.parametrize(("owners", "scale", "prob", "area", "background"), CASES)
def test_decode_equals_the_rules_on_the_whole_map(
    owners, scale, prob, area, background, band_bytes
):
    torch.manual_seed(1)
    query_to_class = torch.tensor(owners)
    num_classes = max(owners) + 1
    logits = torch.randn(len(owners), 20, 30) * 0.3
    found = decode(
        Held(logits),
        query_to_class,
        num_classes,
        scale=scale,
        background=background,
        prob_threshold=prob,
        area_threshold=area,
        with_scores=True,
        band_bytes=band_bytes,
    )
    labels, probability = decoded_at_once(
        logits, query_to_class, num_classes, scale, prob, area, background
    )
    np.testing.assert_array_equal(found.labels.numpy(), labels)
    assert found.areas.tolist() == np.bincount(labels.ravel(), minlength=num_classes).tolist()
    for c in range(num_classes):
        own = probability[labels == c]
        assert found.scores[c].item() == pytest.approx(own.mean() if own.size else 0, abs=1e-5)


def test_an_area_threshold_that_strikes_every_class_leaves_the_background():
    logits = torch.zeros(3, 4, 4)
    logits[1, :2], logits[2, 2:] = 1, 1
    found = decode(Held(logits), torch.arange(3), 3, scale=10, background=0, area_threshold=0.5)
    assert found.areas.tolist() == [16, 0, 0]


@pytest.mark.parametrize("threshold", [{"prob_threshold": 0.1}, {"area_threshold": 0.1}])
def test_thresholds_need_a_background(threshold):
    with pytest.raises(ValueError, match="background"):
        decode(Held(torch.zeros(2, 3, 3)), torch.arange(2), 2, scale=1, **threshold)


def test_more_classes_than_a_byte_can_count():
    logits = torch.zeros(847, 2, 3)
    logits[846] = 1
    found = decode(Held(logits), torch.arange(847), 847, scale=40)
    assert found.labels.dtype == torch.int32
    assert found.labels.unique().tolist() == [846]


class InPieces:
    """A map made for a few queries of some rows at a time."""

    def __init__(self, data, rows, queries):
        self.data, self.size, self.steps = data, tuple(data.shape[-2:]), (rows, queries)

    def pieces(self):
        rows, queries = self.steps
        for start in range(0, self.size[0], rows):
            yield start, self.data[:, start : start + rows].split(queries)


@pytest.mark.parametrize("steps", [(1, 1), (7, 2), (20, 3), (50, 50)])
@pytest.mark.parametrize(("owners", "scale", "prob", "area", "background"), CASES)
def test_pieces_of_a_map_give_what_the_map_gives(owners, scale, prob, area, background, steps):
    torch.manual_seed(2)
    settings = {"scale": scale, "prob_threshold": prob, "area_threshold": area}
    settings |= {"background": background, "with_scores": True}
    logits = torch.randn(len(owners), 20, 30) * 0.3
    owners = torch.tensor(owners)
    count = int(owners.max()) + 1
    whole = decode(Held(logits), owners, count, **settings)
    pieces = decode(InPieces(logits, *steps), owners, count, **settings)
    assert torch.equal(pieces.labels, whole.labels)
    assert torch.equal(pieces.areas, whole.areas)
    torch.testing.assert_close(pieces.scores, whole.scores)
