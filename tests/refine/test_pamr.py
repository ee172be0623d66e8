from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ovseg.dense import Naming, Picture, Resized, TensorMap
from ovseg.errors import ConfigError
from ovseg.refine import PAMR
from ovseg.refine.pamr import affinities, flow
from tests.dense.test_logit_map import Held
from tests.drawn import draw_picture
from tests.tiny import build_segmentor


class Map(Held):
    """A map that is held whole and knows its queries."""

    @property
    def num_queries(self):
        return len(self.data)

    def queries(self, start, stop):
        return Map(self.data[start:stop])


def at(maps, y, x):
    """Value of the pixel (y, x), or of the nearest at the border."""
    return maps[:, min(max(y, 0), maps.shape[1] - 1), min(max(x, 0), maps.shape[2] - 1)]


def around(y, x, dilations):
    for d in dilations:
        for dy in (-d, 0, d):
            for dx in (-d, 0, d):
                yield y + dy, x + dx


def pixel_by_pixel(pixels, maps, dilations, iterations):
    """The formula, without any trick."""
    _, height, width = pixels.shape
    places = [(y, x) for y in range(height) for x in range(width)]
    weights = {}
    for y, x in places:
        colors = torch.stack([at(pixels, *p) for p in around(y, x, dilations)])
        unit = 1e-8 + 0.1 * colors.std(0)
        others = [p for p in around(y, x, dilations) if p != (y, x)]
        unlike = torch.stack(
            [((pixels[:, y, x] - at(pixels, *p)).abs() / unit).mean() for p in others]
        )
        weights[y, x] = (others, (-unlike).softmax(0))
    for _ in range(iterations):
        flowed = torch.empty_like(maps)
        for y, x in places:
            others, weight = weights[y, x]
            flowed[:, y, x] = sum(w * at(maps, *p) for p, w in zip(others, weight, strict=True))
        maps = flowed
    return maps


@pytest.mark.parametrize(("dilations", "iterations"), [((1,), 1), ((2, 4), 3)])
def test_the_flow_is_its_formula(dilations, iterations):
    pixels = draw_picture(7, 9, 0).float()
    maps = torch.randn(3, 7, 9, generator=torch.Generator().manual_seed(0))
    found = flow(maps, affinities(pixels, dilations), dilations, iterations)
    expected = pixel_by_pixel(pixels, maps, dilations, iterations)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (2, 40), (19, 23), (40, 33)])
@pytest.mark.parametrize("dilations", [(1,), (3,), (2, 4), (2, 5), (8, 16)])
def test_the_order_of_the_cpu_changes_nothing(dilations, size, threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    weights = affinities(draw_picture(*size, 1).float(), dilations)
    for count in (1, 19):
        maps = torch.randn(count, *size, generator=torch.Generator().manual_seed(count))
        found = flow(maps, weights, dilations, 3)
        expected = flow(maps.double(), weights.double(), dilations, 3)  # by whole maps
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-6)


def test_weights_sum_to_one_and_know_no_brightness():
    pixels = draw_picture(20, 24, 1).float()
    weights = affinities(pixels, (2, 4))
    assert weights.shape == (16, 20, 24)
    torch.testing.assert_close(weights.sum(0), torch.ones(20, 24))
    torch.testing.assert_close(affinities(pixels / 255 - 3, (2, 4)), weights, rtol=1e-2, atol=1e-4)


def test_where_all_is_one_color_everything_counts_alike():
    weights = affinities(torch.full((3, 6, 6), 9.0), (1,))
    torch.testing.assert_close(weights, torch.full((8, 6, 6), 1 / 8))


def refined(refiner, logits, owners, size=(40, 52), **naming):
    queries = torch.tensor(owners)
    naming = Naming(queries, max(owners) + 1, **{"scale": 20, **naming})
    return refiner(Map(logits), Picture(draw_picture(30, 39, 2)), naming, size, None, True)


def at_once(logits, owners, size, scale, background=None, prob=0.0, area=0.0):
    """All classes at once, as the authors do it: (labels, probabilities of the best)."""
    pixels = F.interpolate(draw_picture(30, 39, 2).float()[None], size, mode="bilinear")[0]
    maps = F.interpolate(logits[None], size, mode="bilinear")[0]
    maps = flow(maps, affinities(pixels, (2, 5)), (2, 5), 4)
    p = (maps * scale).softmax(0)
    owners = torch.tensor(owners)
    p = torch.stack([p[owners == c].amax(0) for c in range(int(owners.max()) + 1)])
    if area > 0:
        sizes = torch.bincount(p.argmax(0).flatten(), minlength=len(p))
        sizes[background] = 0
        small = sizes <= area * sizes.sum()
        small[background] = False
        p[small] = 0
    labels = p.argmax(0)
    if prob > 0:
        labels[p.amax(0) < prob] = background
    return labels, p.amax(0)


OWNERS = [0, 0, 1, 2, 3, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("tile_bytes", "chunk_bytes"), [(1, 1), (60_000, 30_000), (10**9, 1), (10**9, 10**9)]
)
@pytest.mark.parametrize(
    "rules", [{}, {"prob": 0.2}, {"area": 0.12}, {"prob": 0.2, "area": 0.12}], ids=str
)
def test_pieces_give_what_all_classes_at_once_give(tile_bytes, chunk_bytes, rules):
    logits = torch.randn(len(OWNERS), 10, 13, generator=torch.Generator().manual_seed(4)) * 0.2
    refiner = PAMR(4, (2, 5), tile_bytes, chunk_bytes)
    names = {"prob": "prob_threshold", "area": "area_threshold"}
    settings = {names[k]: v for k, v in rules.items()}
    found = refined(refiner, logits, OWNERS, background=0 if rules else None, **settings)
    labels, best = at_once(logits, OWNERS, (40, 52), 20, 0, **rules)
    assert len(labels.unique()) > 2
    assert torch.equal(found.labels, labels.int())
    assert found.areas.tolist() == torch.bincount(labels.flatten(), minlength=7).tolist()
    for c in labels.unique():
        assert found.scores[c].item() == pytest.approx(best[labels == c].mean().item(), abs=1e-5)


@pytest.mark.parametrize("tile_bytes", [60_000, 10**9])
def test_patches_are_enlarged_on_the_way(tile_bytes):
    generator = torch.Generator().manual_seed(7)
    patches = torch.randn(9, 10, 13, generator=generator) * 0.2
    naming = Naming(torch.arange(9), 9, 20)
    picture, refiner = Picture(draw_picture(30, 39, 2)), PAMR(4, (2, 5), tile_bytes, 10_000)
    small = Resized(TensorMap(patches), (20, 26))
    found = refiner(small, picture, naming, (40, 52), None, True)
    expected = refiner(Map(small.rows(0, 20)), picture, naming, (40, 52), None, True)
    assert torch.equal(found.labels, expected.labels)
    torch.testing.assert_close(found.scores, expected.scores, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 1000])
def test_one_class_and_a_thousand(count):
    logits = torch.randn(count, 4, 5, generator=torch.Generator().manual_seed(5))
    found = refined(PAMR(2, (1, 2)), logits, list(range(count)), size=(16, 21))
    assert found.areas.sum() == 16 * 21 and torch.isfinite(found.scores).all()


def test_no_iteration_changes_nothing():
    logits = torch.randn(5, 10, 13, generator=torch.Generator().manual_seed(6))
    found = refined(PAMR(0), logits, list(range(5)))
    enlarged = F.interpolate(logits[None], (40, 52), mode="bilinear")[0]
    assert torch.equal(found.labels, enlarged.argmax(0).int())


def test_labels_follow_edges_of_the_picture():
    """Logits that are off by three pixels snap to the edge of the colors."""
    pixels = torch.zeros(3, 32, 32, dtype=torch.uint8)
    pixels[:, :, 16:] = 200
    pixels += torch.randint(0, 20, pixels.shape, generator=torch.Generator().manual_seed(0)).byte()
    logits = torch.zeros(2, 32, 32)
    logits[0, :, :13] = logits[1, :, 13:] = 0.5
    naming = Naming(torch.arange(2), 2, 40)
    found = PAMR(10, (1, 2, 4))(Map(logits), Picture(pixels), naming, (32, 32), None)
    truth = torch.arange(32).ge(16).int().expand(32, 32)
    assert (
        (found.labels != truth).float().mean() < 0.02 < (logits.argmax(0) != truth).float().mean()
    )


@pytest.mark.parametrize("settings", [(-1, (8,)), (10, ()), (10, (0, 8))])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match=r"iterations|dilations"):
        PAMR(*settings)


@pytest.mark.parametrize("size", [(1, 1), (9, 200), (64, 48)])
def test_in_a_segmentor(size):
    model = build_segmentor(
        refiner={"type": "PAMR"},
        protocol={"short_side": 24, "long_side": 80, "prob_threshold": 0.1},
    )
    with pytest.raises(ConfigError, match="background"):
        model.set_vocabulary(["cat", "sofa"])
    model.set_vocabulary(["cat", "sofa"], background=["wall"])
    image = draw_picture(*size, 3)
    data = model.data_preprocessor({"inputs": [image]})
    (found,) = model.predict(data["inputs"], None, [image], with_scores=True)
    assert found.pred_sem_seg.data.shape == (1, *data["inputs"][0].shape[-2:])
    assert torch.isfinite(found.scores).all()
