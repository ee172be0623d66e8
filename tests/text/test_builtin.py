from __future__ import annotations

import json

import pytest

from ovseg.errors import VocabularyError
from ovseg.text import Vocabulary, list_vocabularies
from ovseg.text.builtin import LISTS

EVERY = list_vocabularies(variants=True)


@pytest.mark.parametrize("name", EVERY)
def test_every_list_is_whole(name):
    vocabulary = Vocabulary.load(name)
    assert vocabulary.name == name
    number = name.partition("/")[0].rpartition("-")[2]
    scenes = {"scenes": 28, "scenes-unseen": 52}
    assert len(vocabulary) == (scenes[name] if name in scenes else int(number))
    assert all(word == " ".join(word.split()) != "" for word in vocabulary.queries)
    if vocabulary.is_thing is not None:
        assert len(vocabulary.is_thing) == len(vocabulary)
    has_background = name.startswith(("voc-21", "pascal-context-60", "coco-object-81"))
    assert vocabulary.background == (0 if has_background else None)
    assert (vocabulary.classes[0] == "background") == has_background


@pytest.mark.parametrize("name", LISTS)
def test_defaults_would_pass_as_a_users_own_list(name):
    vocabulary = Vocabulary.load(name)
    if vocabulary.background is None:
        again = Vocabulary.from_names(vocabulary.words)
    else:
        again = Vocabulary.from_names(vocabulary.words[1:]).with_background(vocabulary.words[0])
    assert (again.classes, again.words) == (vocabulary.classes, vocabulary.words)


@pytest.mark.parametrize(
    ("name", "index", "words"),
    [
        ("ade20k-150", 89, ("television", "television receiver", "television set", "tv", "tv set")),
        ("ade20k-150/trident", 44, ("chestofdrawers",)),
        ("ade20k-150/fcclip", 63, ("window screen", "door screen")),
        ("ade20k-847", 1, ("building", "buildings", "edifice", "edifices")),
        ("ade20k-847/trident", 1, ("building, edifice",)),
        ("ade20k-847/trident", 846, ("adding machine, totalizer, totaliser",)),
        ("coco-stuff-171/sclip", 9, ("trafficlight",)),
        ("coco-stuff-171", 84, ("building", "buildings")),
        ("coco-panoptic-133/dataset", 132, ("rug-merged",)),
        ("cityscapes-19/proxyclip", 6, ("trafficlight",)),
        ("voc-20/trident", 3, ("ship",)),
        ("voc-21/trident", 20, ("tvmonitor",)),
        (
            "voc-21/sclip",
            20,
            ("television monitor", "tv monitor", "monitor", "television", "screen"),
        ),
        ("voc-21/clearclip", 0, ("background",)),
        ("voc-21/clearclip", 4, ("ship",)),
        ("coco-object-81/clearclip", 0, ("background",)),
        ("pascal-context-60/proxyclip", 0, ("background",)),
        ("pascal-context-459/trident", 458, ("wool",)),
        ("mapillary-65", 64, ("ego vehicle", "car hood", "own vehicle")),
        ("VOC_21/SCLIP", 4, ("ship",)),
        ("voc-21/default", 1, ("airplane", "aeroplane", "plane", "aeroplanes", "airplanes")),
    ],
)
def test_spelling(name, index, words):
    assert Vocabulary.load(name).words[index] == words


@pytest.mark.parametrize(
    ("name", "queries"),
    [
        ("voc-21/sclip", 26),
        ("voc-21/trident", 26),
        ("coco-object-81/sclip", 26),
        ("coco-object-81/trident", 17),
    ],
)
def test_background_words_of_the_protocols(name, queries):
    words = Vocabulary.load(name).words[0]
    assert len(words) == queries
    assert words[0] == "sky"


@pytest.mark.parametrize(
    ("name", "things"),
    [("coco-panoptic-133", 80), ("cityscapes-19", 8), ("ade20k-150", 100), ("voc-21", 20)],
)
def test_things(name, things):
    vocabulary = Vocabulary.load(name)
    assert sum(vocabulary.is_thing) == things
    assert vocabulary.is_thing[vocabulary.classes.index("person")]


def test_where_things_are_not_told_apart():
    assert Vocabulary.load("pascal-context-459").is_thing is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ade20k-151", "did you mean ade20k-150"),
        ("ade-20k", "there is no vocabulary"),
        ("cat", "list of class names"),
        ("voc-21/sclp", "no variant .* dataset, sclip"),
        ("scenes/sclip", "no variant .* none"),
        ("", "there is no vocabulary"),
    ],
)
def test_unknown_names_are_refused_with_a_hint(name, message):
    with pytest.raises(VocabularyError, match=message):
        Vocabulary.load(name)


def test_ade20k_is_in_the_order_of_its_own_table(sample_data):
    table = (sample_data / "ADEChallengeData2016" / "objectInfo150.txt").read_text()
    names = [line.split("\t")[-1].strip() for line in table.strip().split("\n")[1:]]
    vocabulary = Vocabulary.load("ade20k-150")
    assert len(names) == len(vocabulary)
    for name, words in zip(names, vocabulary.words, strict=True):
        assert name.split(",")[0] in words


def test_coco_panoptic_is_in_the_order_of_its_own_table(sample_data):
    path = sample_data / "coco" / "annotations" / "panoptic_val2017.json"
    categories = sorted(json.loads(path.read_text())["categories"], key=lambda c: c["id"])
    vocabulary = Vocabulary.load("coco-panoptic-133/dataset")
    assert [c["name"] for c in categories] == list(vocabulary.classes)
    assert [bool(c["isthing"]) for c in categories] == list(vocabulary.is_thing)


def test_no_prompt_of_a_list_is_too_long_for_clip():
    open_clip = pytest.importorskip("open_clip")
    tokenizer = open_clip.tokenizer.SimpleTokenizer()
    queries = {word for name in EVERY for word in Vocabulary.load(name).queries}
    prompts = [f"a jpeg corrupted photo of the {word}." for word in queries]
    longest = max(len(tokenizer.encode(prompt)) for prompt in prompts)
    assert 20 < longest + 2 <= 77
