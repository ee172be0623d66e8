"""DINO-refined methods through the whole segmentor."""

from __future__ import annotations

import functools

import pytest
import torch
from mmseg.structures import SegDataSample

from ovseg.dense import Picture
from ovseg.errors import ConfigError
from ovseg.segmentors import Protocol
from tests.dense.drawn_models import HEAD, METHODS, drawn_segmentor
from tests.drawn import draw

SLIDING = {"short_side": 40, "long_side": 120, "crop": 32, "stride": 16}
CLASSES = ["cat", "sofa; couch", "wall"]


def images(sizes):
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(0, 256, (3, *s), generator=generator, dtype=torch.uint8) for s in sizes]


@functools.cache
def words():
    model = drawn_segmentor("student")
    model.set_vocabulary(CLASSES, background=["background", "nothing"])
    width = model.text.shape[1]  # words that are not far from each other: nothing is certain
    text = draw("text", (1, width)) + 0.15 * draw("six words", (len(model.text), width))
    text = torch.nn.functional.normalize(torch.from_numpy(text).float(), dim=-1)
    return model.vocabulary, text, model.query_to_class


def build(method, **settings):
    model = drawn_segmentor(method, **{"protocol": SLIDING, **settings})
    model.vocabulary, model.text, model.query_to_class = words()  # embedded once for all tests
    return model


def run(model, inputs):
    samples = [SegDataSample(metainfo={"ori_shape": i.shape[-2:]}) for i in inputs]
    data = model.data_preprocessor({"inputs": inputs, "data_samples": samples})
    return model.predict(**data, with_scores=True)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_gives_what_each_image_gives_alone(method):
    model = build(method, window_batch=3)
    inputs = images([(40, 56), (60, 33), (40, 56)])
    together = run(model, inputs)
    for image, found in zip(inputs, together, strict=True):
        (alone,) = run(model, [image])
        assert (found.pred_sem_seg.data == alone.pred_sem_seg.data).float().mean() > 0.999
        torch.testing.assert_close(found.scores, alone.scores, atol=1e-3, rtol=1e-3)
        assert found.pred_sem_seg.data.shape == (1, *image.shape[-2:])


@pytest.mark.parametrize(
    "method", ["proxyclip", "self_proxy", "student_background", "teacher_background"]
)
@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(3, 40, 40, dtype=torch.uint8),
        torch.full((3, 40, 48), 124, dtype=torch.uint8),
        *images([(1, 1), (5, 300)]),
        *images([(20, 27)]),
    ],
    ids=["black", "gray", "one pixel", "strip", "small"],
)
def test_hard_images(method, image):
    (found,) = run(build(method), [image])
    assert found.pred_sem_seg.data.shape == (1, *image.shape[-2:])
    assert torch.isfinite(found.scores).all()
    assert found.areas.sum() == image.shape[-2] * image.shape[-1]


@pytest.mark.parametrize("method", ["proxyclip", "student"])
def test_one_class(method):
    model = build(method)
    model.set_vocabulary(["cat"])
    (found,) = run(model, images([(40, 56)]))
    assert found.areas.tolist() == [40 * 56] and found.scores.tolist() == pytest.approx([1.0])


def test_an_image_smaller_than_its_window_is_read_whole():
    model = build("proxyclip", protocol={"crop": 64, "stride": 32})
    (found,) = run(model, images([(27, 45)]))
    assert found.areas.sum() == 27 * 45 and torch.isfinite(found.scores).all()


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
        model.image_encoder, "tokens", lambda x, **k: calls.append(len(x)) or read(x, **k)
    )
    run(model, images([(40, 40)]))
    assert sum(calls) == len(model.protocol.cut(40, 40, 8))


@pytest.mark.parametrize("method", ["trident_read", "trident_self"])
def test_windows_that_depend_on_each_other_are_still_read_in_chunks(monkeypatch, method):
    settings = {"guide": {"type": "CLIPGuide"}} if method == "trident_self" else {}
    model = build("trident_read", **settings)
    (image,) = images([(100, 56)])
    windows = len(model.protocol.cut(71, 40, 8))
    found, seen = {}, []
    for name, encoder in (("tokens", model.image_encoder), ("features", model.encoders["dino"])):
        read = getattr(encoder, name)
        monkeypatch.setattr(
            encoder, name, lambda x, r=read, **k: (seen.append(len(x)), r(x, **k))[1]
        )
    for model.window_batch in (1, 3, windows):
        (logits,) = model.logits(
            [Picture(model.data_preprocessor({"inputs": [image]})["inputs"][0])]
        )
        found[model.window_batch] = torch.stack(logits.features)
        assert max(seen) == model.window_batch < windows + 1
        assert sum(seen) == windows * (1 if method == "trident_self" else 2)
        seen.clear()
    assert windows > 3
    for step in (1, 3):
        torch.testing.assert_close(found[step], found[windows], atol=1e-5, rtol=1e-5)


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
