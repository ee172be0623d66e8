from __future__ import annotations

from dataclasses import fields

import numpy as np
import torch

from ovseg.datasets.scenes.classes import CLASSES, STUFF, THINGS
from ovseg.datasets.scenes.render import Scene, Thing, render
from ovseg.datasets.scenes.splits import SPLITS
from tests.tools.nano import clip_data


def things_named(phrases):
    return [p for p in phrases if p in THINGS]


def test_only_pixels_and_words_leave():
    sample = clip_data.CaptionedScenes(10, 32)[0]
    assert [field.name for field in fields(sample)] == ["image", "caption", "phrases"]
    assert sample.image.dtype == torch.uint8
    assert sample.image.shape == (3, 32, 32)
    assert isinstance(sample.caption, str)
    assert all(isinstance(phrase, str) for phrase in sample.phrases)


def test_a_resumed_run_goes_on_with_the_same_samples():
    whole, rest = clip_data.CaptionedScenes(12, 32), clip_data.CaptionedScenes(12, 32, start=5)
    assert len(rest) == 7
    for i in range(7):
        assert torch.equal(rest[i].image, whole[i + 5].image)
        assert rest[i].caption == whole[i + 5].caption
        assert rest[i].phrases == whole[i + 5].phrases


def test_the_first_pictures_have_one_thing():
    data = clip_data.CaptionedScenes(100, 32, easy=0.3)
    counts = [len(things_named(data[i].phrases)) for i in range(100)]
    assert max(counts[:30]) == 1
    assert max(counts[30:]) > 1


def test_training_never_sees_a_held_out_scene():
    data = clip_data.CaptionedScenes(40, 32, easy=0)
    seen = {data[i].image.numpy().tobytes() for i in range(40)}
    flipped = {np.ascontiguousarray(data[i].image.numpy()[..., ::-1]).tobytes() for i in range(40)}
    held_out = {
        render((SPLITS[split], i), 32).image.transpose(2, 0, 1).tobytes()
        for split in ("val", "check")
        for i in range(40)
    }
    assert len(seen) == 40
    assert not held_out & (seen | flipped)


def test_sub_phrases_are_what_a_thing_implies():
    nothing = np.zeros((10, 10), np.uint8)
    things = (Thing(1, "car", "red", "striped", 50), Thing(2, "cup", "white", "plain", 40))
    scene = Scene(nothing, nothing, nothing, things, ("sky", "sky"), "single")
    assert clip_data.sub_phrases(scene) == (
        "sky", "car", "red car", "striped car", "striped red car", "cup", "white cup",
    )  # fmt: skip


def test_phrase_bank_holds_names_first_and_knows_what_is_true():
    phrases = [("sky", "car", "red car"), ("sand", "car", "blue car")]
    bank, true = clip_data.phrase_bank(phrases, 10, np.random.default_rng(0))
    assert set(bank[:3]) == {"sky", "sand", "car"}
    assert set(bank[3:]) == {"red car", "blue car"}
    for row, group in enumerate(phrases):
        assert {p for p, t in zip(bank, true[row].tolist(), strict=True) if t} == set(group)


def test_phrase_bank_is_limited_and_depends_on_its_generator_alone():
    data = clip_data.CaptionedScenes(24, 32, easy=0)
    phrases = [data[i].phrases for i in range(24)]
    bank, true = clip_data.phrase_bank(phrases, 40, np.random.default_rng(0))
    again, _ = clip_data.phrase_bank(phrases, 40, np.random.default_rng(0))
    other, _ = clip_data.phrase_bank(phrases, 40, np.random.default_rng(1))
    assert bank == again != other
    assert len(set(bank)) == len(bank) == 40
    assert true.shape == (24, 40)
    assert true.any(1).all()


def test_collate_stacks_pictures_and_keeps_words():
    data = clip_data.CaptionedScenes(3, 32)
    images, captions, phrases = clip_data.collate([data[i] for i in range(3)])
    assert images.shape == (3, 3, 32, 32)
    assert captions == [data[i].caption for i in range(3)]
    assert all(any(p in STUFF for p in group) for group in phrases)
    assert {p for group in phrases for p in group if " " not in p} <= set(CLASSES)
