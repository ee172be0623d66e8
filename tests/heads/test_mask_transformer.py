from __future__ import annotations

import pytest
import torch

from ovseg.heads import ClassWords, InVocabularyClassifier, MaskTransformer
from ovseg.heads.mask_transformer import blocked_places


def build(**settings):
    torch.manual_seed(0)
    sizes = {"dim": 16, "queries": 5, "layers": 4, "heads": 2, "feedforward": 8, **settings}
    return MaskTransformer(in_dim=16, mask_dim=16, embed_dim=12, **sizes)


def inputs(batch=2):
    torch.manual_seed(1)
    levels = [torch.randn(batch, 16, side, side + 1) for side in (2, 4, 8)]
    return levels, torch.randn(batch, 16, 16, 18)


def words(count=3):
    rows = torch.nn.functional.normalize(torch.randn(count, 12), dim=-1)
    return ClassWords(rows, torch.arange(count), count)


def test_one_prediction_more_than_layers():
    levels, features = inputs()
    found = build()(levels, features, words())
    assert len(found) == 5
    for one in found:
        assert one["masks"].shape == (2, 5, 16, 18)
        assert one["logits"].shape == (2, 5, 4)


def test_last_only_is_the_last():
    model, (levels, features), asked = build(), inputs(), words()
    every, (last,) = model(levels, features, asked), model(levels, features, asked, last_only=True)
    for name in last:
        torch.testing.assert_close(last[name], every[-1][name])


def test_every_parameter_learns():
    model, (levels, features) = build(dim=8), inputs()
    found = model(levels, features, words())
    sum(x.square().sum() for one in found for x in one.values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_queries_look_inside_their_masks_and_empty_ones_everywhere():
    masks = torch.full((1, 3, 2, 2), -1.0)
    masks[0, 1, 0, 1] = 1.0
    masks[0, 2] = 0.0
    assert blocked_places(masks, (2, 2)).tolist() == [
        [[False] * 4, [True, False, True, True], [False] * 4]
    ]


def test_heads_divide_channels():
    with pytest.raises(ValueError, match="3 heads do not divide 16"):
        build(heads=3)


def test_the_scale_has_a_limit():
    classifier = InVocabularyClassifier(8, 12)
    assert classifier.scale.item() == pytest.approx(1 / 0.07)
    with torch.no_grad():
        classifier.logit_scale.fill_(9.0)
    assert classifier.scale.item() == 100.0


@pytest.mark.parametrize("count", [1, 1000])
def test_any_number_of_classes(count):
    levels, features = inputs(1)
    found = build()(levels, features, words(count), last_only=True)[-1]
    assert found["logits"].shape == (1, 5, count + 1) and found["logits"].isfinite().all()
