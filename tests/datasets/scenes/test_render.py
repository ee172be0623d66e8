from __future__ import annotations

import subprocess
import sys
from collections import Counter

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
from ovseg.datasets.scenes.render import TYPICAL, render

MAPS = ("image", "semantic", "instances")

# Some scenes of the benchmark as (stuff, layout, things): a change of the draws shows up here.
BENCHMARK = {
    0: (
        ("curtain", "tiles"),
        "horizon",
        ["striped brown guitar", "plain orange butterfly"],
    ),
    57: (
        ("sky", "snow"),
        "horizon",
        ["striped red balloon", "plain yellow crown", "plain pink flower"],
    ),
    499: (
        ("sunset", "tiles"),
        "horizon",
        ["plain green cactus", "plain red heart", "plain purple umbrella", "plain blue fish"],
    ),
}


@pytest.mark.parametrize("seed", [0, 7, (0, 5), (1, 5), (2**40, 3)])
def test_a_seed_is_a_scene(seed):
    first, second = render(seed, 64), render(seed, 64)
    assert all(np.array_equal(getattr(first, m), getattr(second, m)) for m in MAPS)
    assert (first.things, first.stuff, first.layout) == (second.things, second.stuff, second.layout)


def test_neighboring_seeds_are_different_scenes():
    images = [render((split, i), 32).image.tobytes() for split in range(3) for i in range(10)]
    assert len(set(images)) == len(images)


def test_a_scene_does_not_depend_on_what_was_drawn_before_or_in_which_process():
    code = (
        "import hashlib\n"
        "from ovseg.datasets.scenes.render import render\n"
        "scenes = [render((0, i), 48) for i in ORDER]\n"
        "scenes.sort(key=lambda s: s.image.tobytes())\n"
        "maps = b''.join(s.image.tobytes() + s.semantic.tobytes() for s in scenes)\n"
        "print(hashlib.sha256(maps).hexdigest())"
    )
    commands = [
        [sys.executable, "-c", code.replace("ORDER", order)]
        for order in ("range(6)", "reversed(range(6))")
    ]
    digests = [subprocess.check_output(command, text=True) for command in commands]
    assert len(digests[0].strip()) == 64
    assert digests[0] == digests[1]


@pytest.mark.parametrize("index", BENCHMARK)
def test_the_benchmark_stays_what_it_is(index):
    scene = render((0, index), 64)
    things = [f"{t.pattern} {t.color} {t.name}" for t in scene.things]
    assert (scene.stuff, scene.layout, things) == BENCHMARK[index]


@pytest.mark.parametrize("index", range(12))
def test_a_scene_is_the_same_at_another_size(index):
    small, large = render((0, index), 64), render((0, index), 256)
    assert (small.stuff, small.layout) == (large.stuff, large.layout)
    assert np.mean(small.semantic == large.semantic[2::4, 2::4]) > 0.95
    means = [scene.image.reshape(-1, 3).mean(0) for scene in (small, large)]
    np.testing.assert_allclose(*means, atol=6)


@pytest.mark.parametrize("size", [8, 33, (8, 200), (200, 8), (96, 160), (160, 96)])
def test_any_size(size):
    scene = render(3, size)
    shape = (size, size) if isinstance(size, int) else size
    assert scene.image.shape == (*shape, 3)
    assert scene.image.dtype == np.uint8
    assert (scene.semantic.shape, scene.semantic.dtype) == (shape, np.uint8)
    assert (scene.instances.shape, scene.instances.dtype) == (shape, np.int32)


@pytest.mark.parametrize(
    ("size", "zoom"), [(7, 1), ((64, 7), 1), (0, 1), (-64, 1), (64, 0), (64, -1)]
)
def test_impossible_sizes_and_zooms_are_refused(size, zoom):
    with pytest.raises(ValueError, match="at least 8 pixels and a positive zoom"):
        render(0, size, zoom=zoom)


def test_zoom_shows_things_larger():
    shares = [
        np.mean([np.mean(render((4, i), 48, zoom=z).instances > 0) for i in range(20)])
        for z in (0.5, 1.0, 2.0)
    ]
    assert shares[0] * 2 < shares[1] < shares[2] / 1.8


@pytest.mark.parametrize("num_things", [(0, 0), (1, 1), (2, 3), (7, 7)])
def test_num_things(num_things):
    scenes = [render((5, i), 64, num_things=num_things) for i in range(20)]
    drawn = [max((t.instance for t in s.things), default=0) for s in scenes]
    assert max(drawn) == num_things[1]
    # The last one drawn lies in front and is always seen.
    assert min(drawn) == num_things[0]


def test_everything_occurs(many_scenes):
    seen = np.unique(np.concatenate([np.unique(scene.semantic) for scene in many_scenes]))
    assert seen.tolist() == [*range(len(CLASSES)), VOID]
    things = [thing for scene in many_scenes for thing in scene.things]
    assert {t.name for t in things} == set(THINGS)
    assert {t.color for t in things} == set(COLORS)
    assert {t.pattern for t in things} == set(PATTERNS)
    layouts = Counter(scene.layout for scene in many_scenes)
    assert layouts["horizon"] > layouts["split"] > layouts["single"] > 0


def test_most_things_have_their_typical_color(many_scenes):
    things = [thing for scene in many_scenes for thing in scene.things]
    share = np.mean([t.color == TYPICAL_COLOR[t.name] for t in things])
    # Chance gives some of the others their typical color as well.
    assert share == pytest.approx(TYPICAL + (1 - TYPICAL) / len(COLORS), abs=0.05)


def test_hidden_things_are_not_listed():
    crowded = [render((6, i), 48, zoom=1.5, num_things=(12, 12)) for i in range(20)]
    assert any(len(scene.things) < 12 for scene in crowded)
    assert all(thing.area > 0 for scene in crowded for thing in scene.things)


def test_maps_agree(many_scenes):
    for scene in many_scenes:
        ids, areas = np.unique(scene.instances, return_counts=True)
        assert dict(zip(ids.tolist(), areas.tolist(), strict=True)) == {
            0: int(np.sum(scene.instances == 0)),
            **{t.instance: t.area for t in scene.things},
        }
        for thing in scene.things:
            labels = np.unique(scene.semantic[scene.instances == thing.instance])
            assert [CLASSES[label] for label in labels] == [thing.name]
        labels = np.unique(scene.semantic[scene.instances == 0])
        behind = {CLASSES[label] for label in labels if label != VOID}
        assert behind <= set(scene.stuff) <= set(STUFF)
        assert (len(set(scene.stuff)) == 1) == (scene.layout == "single")


def test_panoptic_truth(many_scenes):
    for scene in many_scenes:
        ids, segments = scene.panoptic()
        assert ids.dtype == np.int32
        assert sum(s["area"] for s in segments) == np.sum(ids > 0)
        assert sorted(s["id"] for s in segments) == np.unique(ids[ids > 0]).tolist()
        for segment in segments:
            inside = ids == segment["id"]
            assert inside.sum() == segment["area"]
            assert np.unique(scene.semantic[inside]).tolist() == [segment["category_id"]]
            assert segment["isthing"] == (CLASSES[segment["category_id"]] in THINGS)
        things = [s for s in segments if s["isthing"]]
        assert len(things) == len(scene.things)


def test_excluded_triples_are_never_drawn():
    def triples(**kwargs):
        scenes = [render((8, i), 24, num_things=(4, 4), **kwargs) for i in range(60)]
        return {(t.color, t.pattern, t.name) for scene in scenes for t in scene.things}

    usual = triples()
    common = frozenset(
        {("green", "plain", "tree"), ("blue", "plain", "car"), ("red", "plain", "heart")}
    )
    assert common <= usual
    assert not common & triples(exclude=common)


@pytest.mark.parametrize("world", ["seen", "unseen"])
@pytest.mark.parametrize("num_things", [(0, 0), (1, 1), (2, 4)])
def test_another_moment_shows_the_same_elsewhere(world, num_things):
    for seed in range(8):
        first = render((1, seed), 64, num_things=num_things, world=world)
        later = render((1, seed, 1), 64, world=world, like=first)
        assert (later.stuff, later.layout, later.world) == (first.stuff, first.layout, world)
        named = Counter((t.name, t.color, t.pattern) for t in first.things)
        assert Counter((t.name, t.color, t.pattern) for t in later.things) <= named
        assert len(later.things) >= min(1, len(first.things))
        assert not np.array_equal(later.image, first.image)
