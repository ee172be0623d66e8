import subprocess
import sys

import numpy as np
import pytest

from ovseg.visualization import class_color, class_colors
from ovseg.visualization.palette import _MIN_DISTANCE, NATURAL_COLORS, _to_oklab

NAMES = [f"thing number {n}" for n in range(40)] + ["cat", "dog", "sofa", "sky", "grass"]


def test_color_of_a_name_does_not_depend_on_the_order():
    forward = dict(zip(NAMES, class_colors(NAMES).tolist(), strict=True))
    backward = dict(zip(NAMES[::-1], class_colors(NAMES[::-1]).tolist(), strict=True))
    assert forward == backward


def test_color_is_the_same_in_another_process():
    code = "from ovseg.visualization import class_color; print(class_color('zebra crossing'))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert seen == {str(class_color("zebra crossing"))}


@pytest.mark.parametrize("name", ["cat", "sky", "Straße", "猫", "", "\ud800", "a" * 5000])
def test_any_name_has_one_color(name):
    color = class_color(name)
    assert color == class_color(name) == tuple(class_colors([name])[0].tolist())
    assert all(0 <= value <= 255 for value in color)


@pytest.mark.parametrize("same", ["Sky", " sky ", "SKY"])
def test_case_and_spaces_do_not_matter(same):
    assert class_color(same) == class_color("sky")


def test_colors_of_a_small_vocabulary_can_be_told_apart():
    lab = np.array([_to_oklab(color) for color in class_colors(NAMES)])
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    distance[np.diag_indices(len(lab))] = np.inf
    assert distance.min() >= _MIN_DISTANCE - 0.005


def test_natural_colors_can_be_told_apart():
    colors = [_to_oklab(np.array(c)) for n, c in NATURAL_COLORS.items() if n != "other"]
    distance = np.linalg.norm(np.array(colors)[:, None] - np.array(colors)[None], axis=-1)
    assert distance[~np.eye(len(colors), dtype=bool)].min() > 0.06


@pytest.mark.parametrize(("count", "distinct"), [(0, 0), (1, 1), (847, 847), (3000, 2900)])
def test_vocabularies_of_any_size(count, distinct):
    colors = class_colors([f"class {n}" for n in range(count)])
    assert colors.shape == (count, 3) and colors.dtype == np.uint8
    assert len({tuple(color) for color in colors.tolist()}) >= distinct


def test_equal_names_have_equal_colors():
    colors = class_colors(["cat", "dog", "cat"])
    assert (colors[0] == colors[2]).all() and (colors[0] != colors[1]).any()


def test_colors_cannot_be_changed_by_a_caller():
    with pytest.raises(ValueError, match="read-only"):
        class_colors(["cat"])[0] = 0
