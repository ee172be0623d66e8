from __future__ import annotations

import pytest

from ovseg.errors import VocabularyError
from ovseg.text import get_templates, list_templates
from ovseg.text.templates import fill


@pytest.mark.parametrize(
    ("name", "count", "first"),
    [
        ("openai80", 80, "a bad photo of a {}."),
        ("openai7", 7, "itap of a {}."),
        ("vild14", 14, "a photo of a {}."),
        ("none", 1, "{}"),
    ],
)
def test_sets(name, count, first):
    templates = get_templates(name)
    assert name in list_templates()
    assert len(set(templates)) == len(templates) == count
    assert templates[0] == first
    assert all(template.count("{}") == 1 for template in templates)


@pytest.mark.parametrize(
    ("name", "attribute"),
    [("openai80", "OPENAI_IMAGENET_TEMPLATES"), ("openai7", "SIMPLE_IMAGENET_TEMPLATES")],
)
def test_sets_of_clip_are_those_of_open_clip(name, attribute):
    open_clip = pytest.importorskip("open_clip")
    assert get_templates(name) == tuple(t("{}") for t in getattr(open_clip, attribute))


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("a photo of a {}", ("a photo of a {}",)),
        (["{} in fog", "a {}"], ("{} in fog", "a {}")),
        ((t for t in ["{}"]), ("{}",)),
    ],
)
def test_own_templates(own, expected):
    assert get_templates(own) == expected


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("openai81", "no template set .*openai80, openai7, vild14, none"),
        ("", "no template set"),
        ([], "list of templates is empty"),
        (["a {}", "a photo"], "template 2, .* 0 times"),
        (["{} and {}"], "2 times"),
        (["a {}", "a {}"], "template 2, .* given twice"),
        (["a {}", 3], "template 2 is of type int"),
        (3, "not as int"),
        (b"a {}", "not as bytes"),
    ],
)
def test_bad_templates_are_refused(own, message):
    with pytest.raises(VocabularyError, match=message):
        get_templates(own)


@pytest.mark.parametrize(
    ("template", "word", "expected"),
    [
        ("a {}.", "cat", "a cat."),
        ("{0} {}", "cat", "{0} cat"),
        ("{} {x}", "set {}", "set {} {x}"),
    ],
)
def test_fill(template, word, expected):
    assert fill(template, word) == expected
