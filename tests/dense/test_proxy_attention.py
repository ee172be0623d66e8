from __future__ import annotations

import pytest
import torch

from ovseg.dense import ProxyAttention
from ovseg.encoders import CLIPViT
from ovseg.errors import ConfigError
from tests import drawn


@pytest.fixture(scope="module")
def clip():
    with pytest.warns(UserWarning, match="random"):
        encoder = CLIPViT(drawn.CLIP, pretrained=None)
    drawn.draw_weights(encoder.visual, "clip")
    return encoder


def unit(*rows):
    return torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float32), dim=-1).T


def test_weights_by_hand():
    # Two alike, one orthogonal to both: the mean similarity is 5 / 9.
    weights = ProxyAttention(beta=1.2, gamma=3.0).weights(unit([1, 0], [1, 0], [0, 1]))
    expected = torch.tensor([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])
    torch.testing.assert_close(weights, expected)


def test_a_smaller_beta_lets_more_in_and_gamma_sharpens():
    features = unit([1, 0], [1, 1], [0, 1])
    soft = ProxyAttention(beta=0.0, gamma=1.0).weights(features)
    sharp = ProxyAttention(beta=0.0, gamma=30.0).weights(features)
    assert (soft > 0).all()
    assert sharp[0, 0] > 0.99 > soft[0, 0]
    assert (ProxyAttention(beta=1.0).weights(features) == 0).sum() == 2


@pytest.mark.parametrize(
    "features",
    [
        torch.zeros(4, 9),
        torch.full((4, 9), 0.5),
        torch.full((4, 9), 0.5) + torch.linspace(0, 0.05, 36).view(4, 9),
        torch.ones(4, 1),
    ],
    ids=["nothing", "constant", "almost constant", "one patch"],
)
def test_where_everything_is_alike_everything_is_averaged(features):
    weights = ProxyAttention().weights(torch.nn.functional.normalize(features, dim=0))
    assert torch.isfinite(weights).all()
    torch.testing.assert_close(
        weights, torch.full_like(weights, 1 / len(weights)), atol=1e-2, rtol=0
    )


@pytest.mark.parametrize("grid", [(12, 12), (6, 6), (5, 7), (2, 3), (1, 1)])
@pytest.mark.parametrize("rest", [{}, {"residual": True, "mlp": True}])
def test_the_grid_is_the_guides(clip, grid, rest):
    state = clip.tokens(torch.randn(2, 3, 48, 48))
    tokens, found = ProxyAttention(**rest)(clip.last_block, state, torch.randn(2, 8, *grid))
    assert found == grid
    assert tokens.shape == (2, grid[0] * grid[1], clip.width)
    assert torch.isfinite(tokens).all()


def test_a_guide_in_which_each_patch_is_alone_gives_the_values(clip):
    state = clip.tokens(torch.randn(1, 3, 32, 32))
    alone = torch.eye(16).view(1, 16, 4, 4)
    block = clip.last_block
    tokens, _ = ProxyAttention(gamma=1e4)(block, state, alone)
    values = block.merge(block.qkv(block.norm1(state.tokens))[2])[:, 1:]
    torch.testing.assert_close(tokens, values)


def test_windows_depend_on_each_other_only_where_asked(clip):
    state = clip.tokens(torch.randn(2, 3, 48, 48))
    guide = torch.stack([torch.randn(8, 6, 6), torch.randn(8, 6, 6) + 2])
    first = type(state)(state.tokens[:1], state.grid, state.num_prefix)
    for similarity, same in (("window", True), ("picture", False)):
        rule = ProxyAttention(similarity=similarity)
        together, _ = rule(clip.last_block, state, guide)
        alone, _ = rule(clip.last_block, first, guide[:1])
        assert rule.joint is not same
        assert torch.allclose(together[:1], alone, atol=1e-5) is same


def test_windows_apart_are_as_together_if_told_of_each_other(clip):
    state = clip.tokens(torch.randn(3, 3, 48, 48))
    guide = torch.randn(3, 8, 6, 6) + torch.arange(3.0)[:, None, None, None]
    rule = ProxyAttention(similarity="picture")
    together, _ = rule(clip.last_block, state, guide)
    mean = rule.measure(guide).mean()
    for index in range(3):
        one = type(state)(state.tokens[index : index + 1], state.grid, state.num_prefix)
        alone, _ = rule(clip.last_block, one, guide[index : index + 1], mean)
        torch.testing.assert_close(alone[0], together[index], atol=1e-5, rtol=1e-5)


def test_what_cannot_be_is_refused(clip):
    with pytest.raises(ConfigError, match="similarity"):
        ProxyAttention(similarity="dataset")
    with pytest.raises(ConfigError, match="guide"):
        ProxyAttention()(clip.last_block, clip.tokens(torch.randn(1, 3, 32, 32)), None)
