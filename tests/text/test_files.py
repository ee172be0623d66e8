from __future__ import annotations

import json

import pytest

from ovseg.errors import VocabularyError
from ovseg.text import Vocabulary

LINES = "# pets\n\ncat; kitten\n  dog\n   # not this\n"


@pytest.mark.parametrize("as_string", [True, False])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pets.txt", LINES.encode()),
        ("pets.TXT", b"cat;kitten\r\ndog"),
        ("bom.txt", b"\xef\xbb\xbfcat; kitten\ndog\n"),
        ("pets.json", b'["cat; kitten", "dog"]'),
        ("pets.json", b'[["cat", "kitten"], ["dog"]]'),
        ("pets.json", b'{"cat": ["kitten"], "dog": []}'),
        ("pets.json", b'{"classes": {"cat": "kitten", "dog": []}}'),
        ("pets.json", b'{"classes": ["cat;kitten", "dog"], "background": null}'),
    ],
)
def test_files(tmp_path, name, content, as_string):
    path = tmp_path / name
    path.write_bytes(content)
    vocabulary = Vocabulary.load(str(path) if as_string else path)
    assert vocabulary.words == (("cat", "kitten"), ("dog",))
    assert vocabulary.name == name
    assert vocabulary.background is None


def test_json_with_background(tmp_path):
    path = tmp_path / "pets.json"
    path.write_text(json.dumps({"classes": ["cat"], "background": ["sky", "wall"]}))
    vocabulary = Vocabulary.load(path)
    assert vocabulary.words == (("sky", "wall"), ("cat",))
    assert vocabulary.background == 0


def test_a_class_may_be_called_classes(tmp_path):
    path = tmp_path / "school.json"
    path.write_text(json.dumps({"classes": ["lessons"], "teacher": []}))
    assert Vocabulary.load(path).classes == ("classes", "teacher")


def test_unicode_names_are_kept(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("猫; кошка\nca\u0301n\n", encoding="utf-8")
    assert Vocabulary.load(path).words == (("猫", "кошка"), ("c\u00e1n",))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.txt", None, "there is no vocabulary file .*none.txt"),
        ("empty.txt", b"", "empty.txt names no classes"),
        ("comments.txt", b"# a\n\n", "comments.txt names no classes"),
        ("latin.txt", "caf\u00e9\n".encode("latin-1"), "latin.txt is not UTF-8 text .byte 3"),
        ("wide.txt", "cat\n".encode("utf-16"), "wide.txt is not UTF-8"),
        ("wide.txt", "cat\n".encode("utf-16-le"), "no name can hold"),
        ("blank.txt", b"cat\n ; \n", "entry 2 of blank.txt is empty"),
        ("twice.txt", b"cat\ndog\ncat\n", r'"cat" \(classes 1 and 3\)'),
        ("names.csv", b"cat\n", "neither .txt nor .json"),
        ("bad.json", b'["cat",\n "dog"', "bad.json is not valid JSON .line 2"),
        ("deep.json", b"[" * 100_000, "deep.json is not valid JSON"),
        ("number.json", b"3", "number.json holds a int"),
        ("nested.json", b'{"classes": 3}', "nested.json holds a int"),
        ("empty.json", b"[]", "empty.json names no classes"),
        ("key.json", b'{"cat": [], "cat": []}', 'gives "cat" twice'),
        ("entry.json", b'["cat", 3]', "entry 2 of entry.json is 3"),
        ("background.json", b'{"classes": ["cat"], "background": []}', "background words is empty"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VocabularyError, match=message) as caught:
        Vocabulary.load(path)
    assert "\n" not in str(caught.value)


def test_a_folder_is_refused(tmp_path):
    folder = tmp_path / "folder.txt"
    folder.mkdir()
    with pytest.raises(VocabularyError, match="cannot be read"):
        Vocabulary.load(folder)
