from __future__ import annotations

import copy

import pytest
import torch
from mmseg.structures import SegDataSample
from torch.nn import functional as F

from ovseg.errors import ConfigError, VocabularyError
from tests.tiny import build_segmentor

CLASSES = ["cat", "sofa; couch", "wall", "grass"]
SLIDING = {"short_side": 40, "long_side": 200, "crop": 32, "stride": 16}
SIZES = [(48, 64), (90, 50), (33, 130), (48, 64), (200, 20)]


def images(sizes=SIZES):
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(0, 256, (3, *s), generator=generator, dtype=torch.uint8) for s in sizes]


def run(model, inputs):
    samples = [SegDataSample(metainfo={"ori_shape": i.shape[-2:]}) for i in inputs]
    data = model.data_preprocessor({"inputs": inputs, "data_samples": samples})
    return model.predict(**data, with_scores=True)


@pytest.mark.parametrize("attention", ["PlainAttention", "MaskCLIPAttention"])
@pytest.mark.parametrize("protocol", [SLIDING, {"short_side": 40}, {}])
@pytest.mark.parametrize("window_batch", [1, 5, 64])
def test_a_batch_gives_exactly_what_each_image_gives_alone(attention, protocol, window_batch):
    model = build_segmentor(attention, protocol=protocol, window_batch=window_batch)
    model.set_vocabulary(CLASSES)
    together = run(model, images())
    for image, found in zip(images(), together, strict=True):
        (alone,) = run(model, [image])
        assert torch.equal(found.pred_sem_seg.data, alone.pred_sem_seg.data)
        assert torch.equal(found.scores, alone.scores)
        assert found.pred_sem_seg.data.shape == (1, *image.shape[-2:])
        assert found.areas.sum() == image.shape[-2] * image.shape[-1]
    assert len({tuple(s.areas.tolist()) for s in together}) > 1


def test_plain_attention_is_clip_itself():
    model = build_segmentor("PlainAttention")
    visual = model.image_encoder.visual
    pixels = torch.randn(2, 3, 32, 32)
    visual.output_tokens = True
    with torch.no_grad():
        tokens = visual(pixels)[1]  # open_clip gives them after the final norm
        expected = tokens @ visual.proj
        dense = model.dense_features(pixels).flatten(1, 2)
    torch.testing.assert_close(dense, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("whole_block", [True, False])
def test_maskclip_attention_is_the_values(whole_block):
    """Against the formula written out on open_clip's own modules, hooks and all."""
    model = build_segmentor("MaskCLIPAttention")
    model.attention.residual = model.attention.mlp = whole_block
    visual = model.image_encoder.visual
    *_, before, last = visual.transformer.resblocks
    seen = []
    handle = before.register_forward_hook(lambda module, inputs, output: seen.append(output))
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        visual(pixels)
        handle.remove()
        x = seen[0][:, 1:]
        width = x.shape[-1]
        value = last.ln_1(x) @ last.attn.in_proj_weight[2 * width :].T
        value = last.attn.out_proj(value + last.attn.in_proj_bias[2 * width :])
        if whole_block:
            value = value + x
            value = value + last.mlp(last.ln_2(value))
        expected = visual.ln_post(value) @ visual.proj
        dense = model.dense_features(pixels).flatten(1, 2)
    torch.testing.assert_close(dense, expected, rtol=1e-4, atol=1e-5)


def test_the_rules_differ():
    maps = []
    for attention in ("PlainAttention", "MaskCLIPAttention"):
        model = build_segmentor(attention)
        maps.append(model.dense_features(torch.ones(1, 3, 32, 64) * torch.linspace(-1, 1, 64)))
    assert maps[0].shape == (1, 4, 8, 16)
    assert (maps[0] - maps[1]).abs().max() > 0.05


@pytest.mark.parametrize("size", [(1, 1), (10, 20000), (20000, 10), (8, 8), (31, 33)])
@pytest.mark.parametrize("protocol", [SLIDING, {"short_side": 16, "long_side": 64}])
def test_extreme_sizes(size, protocol):
    model = build_segmentor(protocol=protocol)
    model.set_vocabulary(CLASSES)
    (found,) = run(model, images([size]))
    assert found.pred_sem_seg.data.shape == (1, *size)
    assert torch.isfinite(found.scores).all()


@pytest.mark.parametrize(("threshold", "all_background"), [(0.0, False), (0.999, True)])
def test_improbable_pixels_become_background(threshold, all_background):
    model = build_segmentor(protocol={"prob_threshold": threshold, "logit_scale": 1})
    model.set_vocabulary(CLASSES, background=["nothing"])
    (found,) = run(model, images([(40, 40)]))
    assert bool(found.areas[0] == 1600) is all_background
    assert model.vocabulary.classes[0] == "background"


def test_thresholds_without_a_background_are_refused():
    model = build_segmentor(protocol={"prob_threshold": 0.2})
    with pytest.raises(ConfigError, match="background"):
        model.set_vocabulary(CLASSES)


def test_one_class_takes_every_pixel():
    model = build_segmentor()
    model.set_vocabulary(["cat"])
    (found,) = run(model, images([(40, 56)]))
    assert found.areas.tolist() == [40 * 56]
    assert found.scores.tolist() == pytest.approx([1.0])


def test_a_model_without_words_says_so():
    with pytest.raises(ConfigError, match="no classes"):
        run(build_segmentor(), images([(40, 40)]))
    with pytest.raises(VocabularyError):
        build_segmentor().set_vocabulary([])


def test_the_configured_vocabulary_is_used_and_can_be_replaced():
    model = build_segmentor(vocabulary=CLASSES)
    assert run(model, images([(40, 40)]))[0].areas.shape == (4,)
    model.set_vocabulary(["cat", "dog"])
    assert run(model, images([(40, 40)]))[0].areas.shape == (2,)


def test_predicting_changes_no_parameter_and_words_are_not_weights():
    model = build_segmentor(vocabulary=CLASSES, protocol=SLIDING)
    before = copy.deepcopy(model.state_dict())
    run(model, images())
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not any(p.requires_grad for p in model.parameters())


def test_scale_defaults_to_the_towers_own():
    assert build_segmentor().scale == pytest.approx(build_segmentor().text_encoder.logit_scale)
    assert build_segmentor(protocol={"logit_scale": 40}).scale == 40


def test_training_modes_are_refused():
    with pytest.raises(ConfigError, match="loss"):
        build_segmentor()(images([(40, 40)]), None, mode="loss")


@pytest.mark.parametrize(("precision", "agreement"), [("bf16", 0.98), ("fp16", 0.999)])
def test_half_precision_says_nearly_the_same(precision, agreement):
    exact = build_segmentor(vocabulary=CLASSES, protocol=SLIDING)
    half = build_segmentor(vocabulary=CLASSES, protocol=SLIDING)
    half.image_encoder.precision = precision
    half.image_encoder.finish()
    with torch.no_grad():
        pixels = torch.randn(2, 3, 32, 48)
        a, b = exact.dense_features(pixels), half.dense_features(pixels)
    assert b.dtype == torch.float32
    assert F.cosine_similarity(a, b, dim=-1).mean() > agreement
