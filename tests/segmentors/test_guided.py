"""DINO-refined methods through the whole segmentor."""

from __future__ import annotations

import pytest
import torch
from mmseg.structures import SegDataSample

from ovseg.errors import ConfigError
from ovseg.segmentors import Protocol
from tests.dense.drawn_models import HEAD, METHODS, drawn_segmentor

SLIDING = {"short_side": 40, "long_side": 120, "crop": 32, "stride": 16}
CLASSES = ["cat", "sofa; couch", "wall"]


def images(sizes):
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(0, 256, (3, *s), generator=generator, dtype=torch.uint8) for s in sizes]


def build(method, **settings):
    model = drawn_segmentor(method, **{"protocol": SLIDING, **settings})
    model.set_vocabulary(CLASSES, background=["background", "nothing"])
    return model


def run(model, inputs):
    samples = [SegDataSample(metainfo={"ori_shape": i.shape[-2:]}) for i in inputs]
    data = model.data_preprocessor({"inputs": inputs, "data_samples": samples})
    return model.predict(**data, with_scores=True)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_gives_what_each_image_gives_alone(method):
    model = build(method, window_batch=3)
    inputs = images([(48, 64), (33, 90), (48, 64), (90, 20)])
    together = run(model, inputs)
    for image, found in zip(inputs, together, strict=True):
        (alone,) = run(model, [image])
        assert (found.pred_sem_seg.data == alone.pred_sem_seg.data).float().mean() > 0.999
        torch.testing.assert_close(found.scores, alone.scores, atol=1e-3, rtol=1e-3)
        assert found.pred_sem_seg.data.shape == (1, *image.shape[-2:])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(3, 40, 40, dtype=torch.uint8),
        torch.full((3, 40, 56), 124, dtype=torch.uint8),
        *images([(1, 1), (5, 300), (31, 33)]),
    ],
    ids=["black", "gray", "one pixel", "strip", "smaller than a window"],
)
def test_hard_images(method, image):
    (found,) = run(build(method), [image])
    assert found.pred_sem_seg.data.shape == (1, *image.shape[-2:])
    assert torch.isfinite(found.scores).all()
    assert found.areas.sum() == image.shape[-2] * image.shape[-1]


@pytest.mark.parametrize("method", METHODS)
def test_one_class(method):
    model = build(method)
    if not model.protocol.needs_background:
        model.set_vocabulary(["cat"])
    (found,) = run(model, images([(40, 56)]))
    assert found.areas.sum() == 40 * 56 and torch.isfinite(found.scores).all()


@pytest.mark.parametrize("method", ["student_background", "teacher_background", "proxyclip"])
def test_spliced_windows_are_aggregated_as_one(method):
    (found,) = run(build(method, splice=True), images([(48, 100)]))
    assert found.areas.sum() == 48 * 100 and torch.isfinite(found.scores).all()


def test_the_background_takes_uncertain_surroundings_only():
    (plain,) = run(build("student"), images([(48, 64)]))
    (with_background,) = run(build("student_background"), images([(48, 64)]))
    changed = plain.pred_sem_seg.data != with_background.pred_sem_seg.data
    assert changed.any()
    assert (with_background.pred_sem_seg.data[changed] == 0).all()


def test_clip_reads_each_window_once(monkeypatch):
    model = build("student_background")
    calls = []
    read = model.image_encoder.tokens
    monkeypatch.setattr(
        model.image_encoder, "tokens", lambda *a: calls.append(a[0].shape[0]) or read(*a)
    )
    run(model, images([(40, 40)]))
    assert sum(calls) == len(model.protocol.cut(40, 40, 8))


def test_learned_parts_are_in_the_record():
    prints = build("student_background").fingerprints()
    assert prints["aggregator"] == prints["foreground"] == "clip_dinoiser/random"
    assert set(build("proxyclip").fingerprints()) == {"image_encoder", "text_encoder", "dino"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"protocol": {"foreground_threshold": 0.99, "softmax": "patches"}}, "foreground"),
        ({"foreground": {"type": "SeedForeground", "encoder": "eyes"}}, "'eyes'"),
        ({"aggregator": {"type": "CorrelationPooling", "guide": {"type": "SAMGuide"}}}, "'sam'"),
        ({"attention": {"type": "ProxyAttention"}}, "needs a guide"),
    ],
)
def test_parts_that_do_not_fit_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        drawn_segmentor("student", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"softmax": "image"}, "softmax"),
        ({"foreground_threshold": 0.9}, "softmax='patches'"),
        ({"foreground_threshold": 1.0, "softmax": "patches"}, "foreground_threshold"),
    ],
)
def test_protocols_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        Protocol.load(settings)


def test_blocks_that_are_not_there():
    head = {"type": "DINOiserGuide", **HEAD, "block": -9}
    model = build("student", aggregator={"type": "CorrelationPooling", "guide": head})
    with pytest.raises(ConfigError, match="0 to 2"):
        run(model, images([(40, 40)]))
