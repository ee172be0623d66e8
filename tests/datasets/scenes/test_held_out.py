from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ovseg.datasets.scenes.classes import (
    CLASSES,
    COLORS,
    PATTERNS,
    STUFF,
    THINGS,
    TYPICAL_COLOR,
    VOID,
)
from ovseg.datasets.scenes.dataset import RenderScene, ScenesDataset, UnseenScenesDataset
from ovseg.datasets.scenes.drawings import drawings
from ovseg.datasets.scenes.held_out import (
    COMBINATIONS,
    HELD_OUT,
    NEW_THINGS,
    UNSEEN_CLASSES,
    combination_name,
    unseen_palette,
)
from ovseg.datasets.scenes.render import render
from ovseg.errors import DatasetError
from ovseg.text import Vocabulary

MANY = 400


def test_every_thing_is_held_out_in_two_looks_that_nobody_expects_of_it():
    assert len(HELD_OUT) == len(COMBINATIONS) == 2 * len(THINGS)
    for thing in THINGS:
        first, second = (triple for triple in COMBINATIONS if triple[2] == thing)
        assert first[0] != second[0] and first[1] != second[1]
        assert TYPICAL_COLOR[thing] not in (first[0], second[0])


def test_every_held_out_look_is_that_of_several_things():
    looks = {}
    for color, pattern, thing in COMBINATIONS:
        assert color in COLORS and pattern in PATTERNS and pattern != "plain"
        looks.setdefault((color, pattern), set()).add(thing)
    assert min(map(len, looks.values())) >= 3


def test_new_things_are_new_and_drawn():
    assert not set(NEW_THINGS) & set(CLASSES)
    assert set(NEW_THINGS) <= set(drawings())
    assert set(NEW_THINGS.values()) <= set(COLORS)


def test_nothing_held_out_is_in_the_seen_world():
    things = [t for i in range(MANY) for t in render((1, i), 32, num_things=(3, 3)).things]
    assert not {(t.color, t.pattern, t.name) for t in things} & HELD_OUT
    assert not {t.name for t in things} & set(NEW_THINGS)
    # ... though the parts of a combination are.
    for color, pattern, thing in COMBINATIONS:
        assert any((t.pattern, t.name) == (pattern, thing) for t in things)
        assert any((t.color, t.pattern) == (color, pattern) for t in things)


def test_the_unseen_world_shows_nothing_else():
    scenes = [render((3, i), 32, world="unseen") for i in range(MANY)]
    things = [t for scene in scenes for t in scene.things]
    combined = {(t.color, t.pattern, t.name) for t in things if t.name in THINGS}
    assert combined == HELD_OUT
    assert {t.name for t in things} - set(THINGS) == set(NEW_THINGS)
    share = sum(t.name in NEW_THINGS for t in things) / len(things)
    assert 0.35 < share < 0.6


def test_labels_of_the_unseen_world_name_its_things():
    for i in range(40):
        scene = render((3, i), 48, world="unseen")
        assert scene.world == "unseen"
        for thing in scene.things:
            labels = np.unique(scene.semantic[scene.instances == thing.instance])
            whole = combination_name(thing.color, thing.pattern, thing.name)
            expected = thing.name if thing.name in NEW_THINGS else whole
            assert [UNSEEN_CLASSES[label] for label in labels] == [expected]
        stuff = np.unique(scene.semantic[scene.instances == 0])
        assert {UNSEEN_CLASSES[label] for label in stuff if label != VOID} <= set(scene.stuff)


def test_what_is_excluded_may_be_chosen():
    things = [
        (t.color, t.pattern, t.name)
        for i in range(MANY)
        for t in render((1, i), 32, exclude=frozenset(), num_things=(3, 3)).things
    ]
    assert set(things) & HELD_OUT


def test_an_unknown_world_is_refused():
    with pytest.raises(ValueError, match="no world 'mars'"):
        render(0, 32, world="mars")


def test_palette_and_vocabulary_follow_the_classes():
    palette = unseen_palette()
    assert len(palette) == len(UNSEEN_CLASSES) == len(set(UNSEEN_CLASSES)) < VOID
    assert min(np.abs(np.subtract(a, b)).sum() for a, b in combinations(palette, 2)) > 8
    vocabulary = Vocabulary.load("scenes-unseen")
    assert vocabulary.classes == vocabulary.queries == UNSEEN_CLASSES
    assert vocabulary.is_thing == tuple(i >= len(STUFF) for i in range(len(UNSEEN_CLASSES)))


def test_the_dataset_of_the_unseen():
    dataset = UnseenScenesDataset(length=3, size=48, pipeline=[RenderScene(panoptic=True)])
    assert dataset.metainfo["classes"] == UNSEEN_CLASSES
    groups = dataset.metainfo["groups"]
    assert [i for group in groups.values() for i in group] == list(range(len(UNSEEN_CLASSES)))
    assert [UNSEEN_CLASSES[i] for i in groups["new_thing"]] == list(NEW_THINGS)
    sample = dataset[2]
    assert sample["img_path"] == "scenes-unseen/000002"
    assert np.array_equal(sample["img"], render((3, 2), 48, world="unseen").image)
    for segment in sample["segments_info"]:
        inside = sample["gt_seg_map"][sample["gt_panoptic"] == segment["id"]]
        assert np.all(inside == segment["category_id"])
        assert segment["isthing"] == (segment["category_id"] >= len(STUFF))


@pytest.mark.parametrize(
    ("dataset", "split"), [(ScenesDataset, "unseen"), (UnseenScenesDataset, "val")]
)
def test_the_worlds_are_not_mixed_up(dataset, split):
    with pytest.raises(DatasetError, match="UnseenScenesDataset"):
        dataset(split=split, length=2)


def test_clutter_is_void_and_no_segment():
    scenes = [render((1, i), 48) for i in range(120)]
    cluttered = [scene for scene in scenes if (scene.semantic == VOID).any()]
    assert 10 < len(cluttered) < 45
    for scene in cluttered:
        void = scene.semantic == VOID
        ids, segments = scene.panoptic()
        assert np.array_equal(ids == 0, void)
        assert 0 not in {segment["id"] for segment in segments}
        assert not scene.instances[void].any()
