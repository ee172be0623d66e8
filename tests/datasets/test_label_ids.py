"""The numbers of annotation files name the classes that our lists name."""

from __future__ import annotations

import json

from ovseg.datasets.label_ids import (
    ADE20K_847_IDS,
    COCO_STUFF_RAW,
    COCO_THING_IDS,
    PASCAL_CONTEXT_59_IDS,
)
from ovseg.text import Vocabulary


def words(name):
    return Vocabulary.load(f"{name}/dataset").classes


def test_the_59_of_context_are_found_by_name_among_the_459():
    full = words("pascal-context-459")
    assert tuple(full[k - 1] for k in PASCAL_CONTEXT_59_IDS) == words("pascal-context-59")


def test_things_of_coco():
    assert len(COCO_THING_IDS) == 80 and len(COCO_STUFF_RAW) == 171
    assert COCO_THING_IDS[0] == 1 and COCO_THING_IDS[-1] == 90 and COCO_STUFF_RAW[-1] == 181


def test_things_of_coco_by_name(sample_data):
    content = json.loads((sample_data / "coco/annotations/panoptic_val2017.json").read_text())
    names = {c["id"]: c["name"] for c in content["categories"] if c["isthing"]}
    assert tuple(names[k] for k in COCO_THING_IDS) == words("coco-object-81")[1:]


def test_ade20k_has_847_different_numbers():
    assert len(set(ADE20K_847_IDS)) == len(words("ade20k-847")) == 847


def test_ade20k_by_name(sample_data):
    ours = dict(zip(ADE20K_847_IDS, words("ade20k-847"), strict=True))
    seen = 0
    for path in sorted((sample_data / "ADE20K_2021_17_01").rglob("*.json")):
        for thing in json.loads(path.read_text(encoding="latin-1"))["annotation"]["object"]:
            if thing["name_ndx"] in ours:
                assert ours[thing["name_ndx"]] == thing["name"]
                seen += 1
    assert seen > 100
