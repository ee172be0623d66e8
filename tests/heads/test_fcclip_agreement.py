"""Agreement of the heads with the authors' code on the same weights.

Recorded by tools/record/record_fcclip.py from github.com/bytedance/fc-clip, commit 2b0bbe2, in
float32 on the CPU.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ovseg.heads.mask_pooling import pool_masks, resize_masks
from ovseg.segmentors.mask_preprocessor import normalized, pad_to, padded_size
from tests.heads import drawn_fcclip as drawn
from tests.heads.drawn_model import drawn_fcclip, recorded


def assert_agree(found: torch.Tensor, name: str, expected: np.ndarray) -> None:
    """Largest difference in units of the largest value."""
    found = drawn.thinned(name, found.numpy())
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() / np.abs(expected).max() < 1e-4


@pytest.fixture(scope="module", params=[*drawn.SIZES])
def run(request):
    """Per picture our maps, what the heads make of them, and what was recorded."""
    model = drawn_fcclip(request.param)
    tower, runs = model.image_encoder, []
    with torch.no_grad():
        for i, pixels in enumerate(drawn.draw_pictures(request.param)):
            image = pad_to(
                normalized(pixels, tower.mean, tower.std), padded_size(*pixels.shape[1:], 32)
            )
            maps = tower.multiscale(image[None])
            features, levels = model.pixel_decoder(maps)
            layers = model.decoder(levels, features, model.words())
            names = [k for k in recorded(request.param) if k.endswith(f"/{i}")]
            truth = {k.removesuffix(f"/{i}"): recorded(request.param)[k] for k in names}
            runs.append((maps, features, levels, layers, truth))
    return model, runs


def test_pixel_decoder(run):
    for _, features, levels, _, truth in run[1]:
        assert_agree(features[0], "mask_features", truth["mask_features"])
        for k, level in enumerate(levels):
            assert_agree(level[0], f"level{k}", truth[f"level{k}"])


def test_masks_of_all_layers(run):
    for _, _, _, layers, truth in run[1]:
        for name, step in (("masks_0", 0), ("masks_2", 2), ("masks_last", -1)):
            assert_agree(layers[step]["masks"][0], name, truth[name])


def test_class_logits_of_all_layers(run):
    for _, _, _, layers, truth in run[1]:
        assert len(layers) == len(truth["logits"])
        found = torch.stack([layer["logits"][0] for layer in layers])
        assert_agree(found, "logits", truth["logits"])


def test_what_frozen_clip_sees_under_masks(run):
    model, runs = run
    for maps, _, _, layers, truth in runs:
        inside = resize_masks(layers[-1]["masks"], maps["res5"].shape[-2:]) > 0
        found = model.image_encoder.embed_masked(maps["res5"], inside)[0].detach()
        some = inside[0].flatten(1).any(1).numpy()
        assert some.sum() > 2
        assert_agree(found[some], "pooled", truth["pooled"][some])


def test_mask_pooling_of_both_places_is_one(run):
    """The decoder's pooling and the tower's are the same mean."""
    model, runs = run
    if model.image_encoder.is_resnet:
        pytest.skip("a ResNet pools by attention")
    maps, _, _, layers, _ = runs[0]
    inside = resize_masks(layers[-1]["masks"], maps["res5"].shape[-2:]) > 0
    pooled = pool_masks(maps["res5"], layers[-1]["masks"])
    torch.testing.assert_close(
        model.image_encoder.embed_pooled(pooled),
        model.image_encoder.embed_masked(maps["res5"], inside),
    )


def test_ensemble(run):
    model, runs = run
    for maps, _, _, layers, truth in runs:
        with torch.no_grad():
            found = model.class_probabilities(layers[-1], maps["res5"], model.words())[0]
        expected = torch.from_numpy(truth["classes"]).softmax(-1).numpy()
        assert_agree(found, "classes", expected)
        labels = expected.argmax(-1)
        assert len(set(labels.tolist())) > 1, "the case tells classes apart"


def test_seen_classes(run):
    kind = "resnet" if run[0].image_encoder.is_resnet else "convnext"
    assert run[0].seen.tolist() == recorded(kind)["seen"].tolist()
    counts = np.bincount(run[0].query_to_class.numpy()).tolist()
    assert counts == recorded(kind)["words"].tolist()


def test_attention_is_far_from_uniform():
    """Else wrong places or masks would pass unseen."""
    model = drawn_fcclip("convnext")
    layer = model.pixel_decoder.layers[0].attention
    weights = layer.weights(torch.randn(50, 32)).unflatten(-1, (drawn.HEADS, -1)).softmax(-1)
    assert weights.amax(-1).mean() > 0.4 > 4 / weights.shape[-1]
