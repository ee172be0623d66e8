from __future__ import annotations

import pytest
import torch
from mmseg.structures import SegDataSample
from torch.nn import functional as F

from ovseg.dense import Naming, Picture
from ovseg.refine import CLIPtraseRefiner
from ovseg.refine import cliptrase as module
from ovseg.refine.cliptrase import denoised, resemblance, vote
from tests.drawn import draw_picture
from tests.refine.test_pamr import Map
from tests.tiny import build_segmentor

CLASSES = ["cat", "sofa; couch", "wall", "grass"]


def segmented(model, images):
    samples = [SegDataSample() for _ in images]
    data = model.data_preprocessor({"inputs": images, "data_samples": samples})
    return model.predict(**data, with_scores=True)


def test_every_cluster_takes_its_most_frequent_class():
    labels = torch.tensor([[1, 1, 2, 2], [1, 3, 0, 2]], dtype=torch.int32)
    member = torch.tensor([[0, 0, 2, 2], [0, 0, 2, 2]])
    clusters = F.one_hot(member, 3).permute(2, 0, 1).float()  # cluster 1 owns no pixel
    found = vote(labels, Map(clusters), 4)
    assert found.labels.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
    assert found.labels.dtype == torch.int32
    assert found.areas.tolist() == [0, 4, 4, 0]


def test_equals_go_to_the_first_class():
    labels = torch.tensor([[3, 1, 1, 3]], dtype=torch.int32)
    assert vote(labels, Map(torch.ones(1, 1, 4)), 5).labels.tolist() == [[1, 1, 1, 1]]


@torch.no_grad()
def test_resemblance_is_the_mean_cosine_of_heads_and_kinds():
    encoder = build_segmentor().image_encoder
    parts = encoder.tokens(torch.randn(1, 3, 32, 40), before=2, qkv=(2,)).qkv[2]
    expected = 0
    for x in parts:
        for head in x[0]:
            expected = expected + F.cosine_similarity(head[:, None], head[None], dim=-1)
    expected = expected / (3 * encoder.block(2).num_heads)
    torch.testing.assert_close(resemblance(*parts)[0], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_block_before_the_last_is_read():
    encoder = build_segmentor().image_encoder
    pixels = torch.randn(1, 3, 32, 32)
    state = encoder.tokens(pixels, before=2)
    through = encoder.block(2).plain(state.tokens)
    torch.testing.assert_close(through, encoder.tokens(pixels).tokens, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="does not exist"):
        encoder.tokens(pixels, before=4)


def test_denoising_takes_away_what_the_class_token_shares():
    alike = torch.tensor([[1.0, 0.3, 0.8], [0.3, 1.0, 0.5], [0.8, 0.5, 1.0]])
    torch.testing.assert_close(denoised(alike), torch.tensor([[0.7, 0.0], [0.2, 0.2]]))


def test_without_clusters_labels_stay():
    plain = build_segmentor("SCLIPAttention", protocol={"short_side": 48})
    none = build_segmentor(
        "SCLIPAttention",
        protocol={"short_side": 48},
        refiner={"type": "CLIPtraseRefiner", "eps": 1e-6, "min_samples": 2},
    )
    for model in (plain, none):
        model.set_vocabulary(CLASSES)
    image = draw_picture(60, 80, 1)
    (a,), (b,) = segmented(plain, [image]), segmented(none, [image])
    assert torch.equal(a.pred_sem_seg.data, b.pred_sem_seg.data)
    torch.testing.assert_close(a.scores, b.scores, rtol=1e-4, atol=1e-5)


def test_one_cluster_gives_one_class():
    model = build_segmentor(refiner={"type": "CLIPtraseRefiner", "eps": 100.0, "min_samples": 1})
    model.set_vocabulary(CLASSES)
    (found,) = segmented(model, [draw_picture(40, 56, 2)])
    assert sorted(found.areas.tolist()) == [0, 0, 0, 40 * 56]
    assert 0 < found.scores.max() <= 1


SLIDING = {"short_side": 48, "long_side": 200, "crop": 32, "stride": 16}


@pytest.mark.parametrize("size", [(48, 64), (5, 3), (33, 130), (70, 20)])
@pytest.mark.parametrize("protocol", [SLIDING, {}])
@pytest.mark.parametrize("count", [1, 4])
def test_any_size_and_any_windows(size, protocol, count):
    model = build_segmentor("NACLIPAttention", protocol=protocol)
    model.refiner = CLIPtraseRefiner(eps=0.6, min_samples=2)
    model.set_vocabulary(CLASSES[:count])
    image = draw_picture(*size, 4)
    (found,) = segmented(model, [image])
    assert found.pred_sem_seg.data.shape == (1, *size)
    assert found.areas.sum() == size[0] * size[1]
    assert torch.isfinite(found.scores).all()


def test_clusters_lie_where_the_picture_is_when_it_is_padded(monkeypatch):
    """A picture of two colors, 43 pixels wide (padded to 48): the border of clusters is theirs."""
    model = build_segmentor()
    pixels = torch.full((3, 24, 43), 20, dtype=torch.uint8)
    pixels[:, :, 20:] = 230
    # One row per patch: resemblance is to have the same color.
    encoder = model.image_encoder

    def by_color(*parts):
        left = torch.arange(6).repeat(3) < 3  # 3 rows of 6 patches of 8 pixels
        alike = torch.zeros(1, 1 + len(left), 1 + len(left))
        alike[0, 1:, 1:] = (left[:, None] == left[None]).float()
        return alike

    monkeypatch.setattr(module, "resemblance", by_color)
    clusters = CLIPtraseRefiner(eps=0.5, min_samples=2).clusters(Picture(pixels), encoder)
    member = clusters.rows(0, 24).argmax(0)
    assert clusters.size == (24, 43) and clusters.num_queries == 2
    assert (member[:, :21] == 0).all() and (member[:, 23:] == 1).all()  # 24 - 2 padded in front


def test_large_pictures_are_shrunk():
    encoder = build_segmentor().image_encoder
    refiner = CLIPtraseRefiner(eps=50.0, min_samples=1, max_patches=20)
    clusters = refiner.clusters(Picture(draw_picture(80, 160, 5)), encoder)
    assert clusters.size[0] * clusters.size[1] <= 20 * 64
    tall = refiner.clusters(Picture(draw_picture(900, 3, 5)), encoder)
    assert tall.size[0] * tall.size[1] <= 900 * 8


@pytest.mark.parametrize("settings", [{"eps": 0.0}, {"min_samples": -1}, {"max_patches": 0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match="positive"):
        CLIPtraseRefiner(**settings)


def test_mean_probability_is_that_of_the_class_given():
    logits = torch.randn(4, 6, 7, generator=torch.Generator().manual_seed(1)) * 0.2
    naming = Naming(torch.tensor([0, 1, 1, 2]), 3, scale=10)
    found = naming.decode(Map(logits), with_scores=True)
    torch.testing.assert_close(naming.mean_probability(Map(logits), found.labels), found.scores)
    p = (logits * 10).softmax(0)[1:3].amax(0)
    all_one = torch.ones(6, 7, dtype=torch.int32)
    scores = naming.mean_probability(Map(logits), all_one)
    assert scores.tolist() == pytest.approx([0, p.mean().item(), 0])
