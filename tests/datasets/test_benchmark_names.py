from __future__ import annotations

import numpy as np
import pytest

from ovseg.datasets.benchmark_names import (
    benchmark_classes,
    benchmark_palette,
    benchmark_things,
)
from ovseg.datasets.builtin import VOC21, COCOStuff171
from ovseg.text import Vocabulary


@pytest.mark.parametrize("name", ["ade20k-847", "pascal-context-459", "coco-object-81"])
def test_classes_are_called_as_in_the_vocabulary(name):
    classes = benchmark_classes(name)
    assert classes == Vocabulary.load(name).classes
    assert len(set(classes)) == len(classes) == int(name.rsplit("-", 1)[1])


def test_coco_object_is_called_as_mmseg_calls_the_things():
    own = Vocabulary.load("coco-object-81/dataset").classes
    assert own == ("background", *COCOStuff171.METAINFO["classes"][:80])


@pytest.mark.parametrize("name", ["ade20k-150", "cityscapes-19", "coco-panoptic-133"])
def test_things_are_those_of_the_vocabulary(name):
    assert np.flatnonzero(Vocabulary.load(name).things).tolist() == list(benchmark_things(name))


def test_palette_is_that_of_the_devkit():
    assert benchmark_palette(21, first=0) == VOC21.METAINFO["palette"]


def test_no_two_of_many_colors_are_alike():
    assert len(set(map(tuple, benchmark_palette(1000)))) == 1000
