"""A picture that is read whole is read once, for the labels and for the clusters that vote."""

from __future__ import annotations

import pytest
import torch

from tests.drawn import draw_picture
from tests.small_methods import give_words, small_method


def passes(model, monkeypatch):
    calls, read = [], model.image_encoder.tokens

    def tokens(images, *args, **kwargs):
        calls.append(tuple(images.shape))
        return read(images, *args, **kwargs)

    monkeypatch.setattr(model.image_encoder, "tokens", tokens)
    return calls


@pytest.mark.parametrize(
    ("protocol", "max_patches", "shared"),
    [({}, 2304, True), ({}, 6, False), (dict(crop=32, stride=16), 2304, False)],
)
def test_whole_pictures_are_read_once(protocol, max_patches, shared, monkeypatch):
    settings = dict(protocol=protocol, refiner=dict(max_patches=max_patches))
    made, twice = (small_method("cliptrase_vit-b16", **settings) for _ in range(2))
    twice.model.refiner.qkv = ()  # as if nobody knew what it will look at
    images = [draw_picture(h, w, seed=4).permute(1, 2, 0).numpy() for h, w in ((48, 64), (64, 48))]
    images.append(images[0][:, ::-1].copy())
    classes = give_words(made)
    give_words(twice)
    calls = passes(made.model, monkeypatch)
    found = made.segment(images, classes, batch_size=3)
    alone = [made.segment(image) for image in images]
    expected = [twice.segment(image) for image in images]
    # Together: the first and the last picture in one pass, the second in another.
    assert (len(calls) == 2 + 3) == shared
    for one, single, other in zip(found, alone, expected, strict=True):
        assert (one.mask == other.mask).mean() > 0.999
        assert (single.mask == other.mask).all()


def test_queries_keys_and_values_of_blocks_are_kept():
    encoder = small_method("maskclip_vit-b16").model.image_encoder
    images = torch.randn(2, 3, 32, 48)
    last = len(encoder.blocks)
    state = encoder.tokens(images, keep=(-2,), qkv=tuple(range(1, last + 1)))
    assert set(state.qkv) == set(range(1, last + 1)) and set(state.kept) == {-2}
    for block, parts in state.qkv.items():
        alone = encoder.tokens(images, before=block)
        pieces = encoder.block(block, alone.grid)
        expected = pieces.qkv(pieces.norm1(alone.tokens))
        for part, other in zip(parts, expected, strict=True):
            torch.testing.assert_close(part, other)
        for part, other in zip(
            encoder.tokens(images, before=block, qkv=(block,)).qkv[block], parts, strict=True
        ):
            torch.testing.assert_close(part, other)
    torch.testing.assert_close(state.tokens, encoder.tokens(images).tokens)


@pytest.mark.parametrize("blocks", [(1,), (2, 1), (0,), (99,)])
def test_blocks_that_are_not_reached_are_refused(blocks):
    encoder = small_method("maskclip_vit-b16").model.image_encoder
    with pytest.raises(ValueError, match=f"only 2 to {len(encoder.blocks)} are reached"):
        encoder.tokens(torch.randn(1, 3, 32, 48), before=2, qkv=blocks)
