from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ovseg.dense import Naming, Picture, TensorMap, decode
from ovseg.refine import SAMRefiner
from tests.dense.tiny_sam import tiny_sam

SIDE = 64


class Oracle(nn.Module):
    """A SAM of 64 pixels whose answers are written down: `answer` maps a box to (mask, quality)."""

    image_size = SIDE
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    device = torch.device("cpu")

    def __init__(self, answer):
        super().__init__()
        self.answer, self.asked = answer, []

    def input_size(self, size):
        return tuple(side * SIDE // max(size) for side in size)

    def encode(self, images):
        size = tuple(images.shape[-2:])
        return SimpleNamespace(input_size=size, grid=(8, 8), embedding=torch.zeros(1))

    def prompt_masks(self, state, points, boxes, masks, multimask):
        assert not multimask
        self.asked.append((points, boxes, masks))
        answers = [self.answer(box) for box in boxes.tolist()]
        low = torch.stack([mask for mask, _ in answers])[:, None].float() * 40 - 20
        return low, torch.tensor([[quality] for _, quality in answers])


def block(top, bottom, left, right):
    """A mask prompt's frame (32 x 32) with a rectangle."""
    mask = torch.zeros(32, 32)
    mask[top:bottom, left:right] = 1
    return mask


def cosines_of(labels, probability=0.9, count=3):
    """Cosines (C, H, W) that give each pixel its label with this probability, at scale 1."""
    other = torch.tensor((1 - probability) / (count - 1)).log()
    one_hot = torch.nn.functional.one_hot(labels, count).permute(2, 0, 1).bool()
    return torch.where(one_hot, torch.tensor(probability).log(), other)


def two_sides(split=32):
    labels = torch.zeros(64, 64, dtype=torch.int64)
    labels[:, split:] = 1
    return labels


def refine(refiner, labels, sam, probability=0.9, naming=None, size=(64, 64), scores=False):
    picture = Picture(torch.zeros(3, *size, dtype=torch.uint8))
    naming = naming or Naming(torch.arange(3), 3, 1.0)
    cosines = cosines_of(labels, probability, naming.num_classes)
    return refiner(TensorMap(cosines), picture, naming, tuple(labels.shape), sam, scores)


def test_prompts_and_answers():
    """SAM moves the border between two classes by 4 pixels, but knows nothing of the bottom."""
    left, right = block(0, 30, 0, 18), block(0, 30, 18, 32)
    sam = Oracle(lambda box: (left if box[0] == 0 else right, 0.95))
    found = refine(SAMRefiner(minimal_area=10), two_sides(), sam, scores=True)
    ((points, boxes, masks),) = sam.asked  # both at once
    assert boxes.tolist() == [[0, 0, 30, 62], [32, 0, 62, 62]]
    assert points[0].tolist() == [[[0, 0]], [[32, 0]]] and points[1].tolist() == [[1], [1]]
    assert masks.shape == (2, 1, 32, 32)
    torch.testing.assert_close(masks[0, 0, 5, :15], torch.full((15,), 0.9 * 0.005))
    assert (masks[0, 0, :, 17:] == 0).all() and (masks[1, 0, :, :15] == 0).all()
    expected = two_sides(36)
    assert torch.equal(found.labels[:58].long(), expected[:58])
    assert torch.equal(found.labels[62:].long(), two_sides()[62:])  # no answer: as before
    assert found.areas.sum() == 64 * 64 and found.areas[2] == 0
    assert found.scores[1] == pytest.approx(0.9, abs=1e-3)
    assert found.scores[0] == pytest.approx((32 * 0.9 + 4 * 0.05) / 36, abs=0.01)


def test_overlaps_go_to_the_more_probable():
    labels = two_sides()
    sam = Oracle(lambda box: (torch.ones(32, 32), 0.95))
    assert torch.equal(refine(SAMRefiner(minimal_area=10), labels, sam).labels.long(), labels)


@pytest.mark.parametrize("quality", [0.8, -1.0])
def test_every_region_failing_leaves_labels_alone(quality):
    sam = Oracle(lambda box: (torch.ones(32, 32), quality))
    found = refine(SAMRefiner(minimal_area=10), two_sides(), sam, scores=True)
    assert torch.equal(found.labels.long(), two_sides())
    assert found.scores[:2].tolist() == pytest.approx([0.9, 0.9])


def test_a_failed_region_keeps_what_is_more_probable():
    """The left answer covers everything; the right region failed but is sure of itself."""
    sam = Oracle(lambda box: (torch.ones(32, 32), 0.95 if box[0] == 0 else 0.1))
    found = refine(SAMRefiner(minimal_area=10), two_sides(), sam)
    assert torch.equal(found.labels.long(), two_sides())
    small = SAMRefiner(minimal_area=33 * 16)  # the right one is too small to be a region at all
    found = refine(small, two_sides(40), sam)
    assert (found.labels == 0).all()


@pytest.mark.parametrize(
    ("settings", "probability"),
    [({"minimal_area": 5000}, 0.9), ({"coarse_threshold": 0.95}, 0.9)],
)
def test_without_regions_sam_is_not_even_asked(settings, probability):
    sam = Oracle(None)
    found = refine(SAMRefiner(**settings), two_sides(), sam, probability, scores=True)
    assert torch.equal(found.labels.long(), two_sides())
    assert found.areas.tolist() == [2048, 2048, 0]


def test_background_and_synonyms():
    """Pixels that the threshold gave to the background are prompted as background."""
    naming = Naming(torch.tensor([0, 0, 1]), 2, 1.0, background=0, prob_threshold=0.6)
    labels = two_sides() * 2
    picture = Picture(torch.zeros(3, 64, 64, dtype=torch.uint8))
    sam = Oracle(lambda box: (block(0, 32, 8, 32), 0.9))
    refiner = SAMRefiner(minimal_area=10, coarse_threshold=0.1)
    found = refiner(TensorMap(cosines_of(labels)), picture, naming, (64, 64), sam)
    assert found.labels.unique().tolist() == [0, 1]
    (_, boxes, _), *_ = sam.asked
    assert boxes.tolist() == [[0, 0, 30, 62], [32, 0, 62, 62]]


def noisy(size, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, classes, 5, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, size, mode="bilinear")[0]


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (37, 50), (130, 60)])
@pytest.mark.parametrize("settings", [{}, {"shrink": 1}, {"mask_scale": 0.0, "multiple": 8}])
def test_any_size_through_a_real_sam(size, settings):
    sam = tiny_sam()
    refiner = SAMRefiner(minimal_area=2, iou_threshold=-5, coarse_threshold=0, **settings)
    picture = Picture(torch.full((3, *size), 90, dtype=torch.uint8))
    naming = Naming(torch.arange(4), 4, 20.0)
    found = refiner(TensorMap(noisy(size, 4)), picture, naming, size, sam, True)
    assert found.labels.shape == size and found.labels.dtype == torch.int32
    assert found.areas.sum() == size[0] * size[1]
    assert torch.isfinite(found.scores).all()
    assert ((found.scores > 0) == (found.areas > 0)).all()


def test_chunks_and_bands_change_nothing(monkeypatch):
    """Answers of all regions at once, one by one, and with a band for every row."""
    sam, size = tiny_sam(), (70, 90)
    naming = Naming(torch.arange(6), 6, 20.0)
    picture = Picture(torch.randint(0, 256, (3, *size), dtype=torch.uint8))
    outcomes = []
    for batch, limit in ((64, 2**20), (1, 2**20), (3, 1)):
        monkeypatch.setattr("ovseg.dense.logit_map.bands.__defaults__", (limit,))
        refiner = SAMRefiner(
            minimal_area=5, iou_threshold=-0.5, coarse_threshold=0.1, region_batch=batch
        )
        outcomes.append(refiner(TensorMap(noisy(size, 6)), picture, naming, size, sam).labels)
    plain = naming.decode(TensorMap(noisy(size, 6))).labels
    assert 0.05 < (outcomes[0] != plain).float().mean()
    for other in outcomes[1:]:
        assert (outcomes[0] != other).float().mean() < 1e-3


def test_a_thousand_classes_are_never_held_at_image_size(monkeypatch):
    sizes = []
    monkeypatch.setattr("ovseg.dense.logit_map.bands.__defaults__", (2**20,))
    monkeypatch.setitem(decode.__kwdefaults__, "band_bytes", 2**20)

    class Watched(TensorMap):
        def rows(self, start, stop):
            rows = super().rows(start, stop)
            sizes.append(4 * rows.numel())
            return rows

        def select(self, queries):
            return Watched(self.values[queries])

    size = (60, 80)
    refiner = SAMRefiner(minimal_area=10, coarse_threshold=0, iou_threshold=-5)
    naming = Naming(torch.arange(1000), 1000, 60.0)
    picture = Picture(torch.zeros(3, *size, dtype=torch.uint8))
    found = refiner(Watched(noisy(size, 1000)), picture, naming, size, tiny_sam(), True)
    assert found.areas.sum() == 60 * 80
    assert len(sizes) > 60 and max(sizes) <= 2**20
