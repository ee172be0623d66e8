"""Lists of images, and those that cannot be used."""

from __future__ import annotations

import pytest

from ovseg.datasets.folder import read_class_words
from ovseg.datasets.lists import read_names
from ovseg.errors import DatasetError


@pytest.mark.parametrize(
    "content",
    [b"a\nb/c d\n", b"\na \r\nb/c d", b"\xef\xbb\xbfa\n\nb/c d\n"],
    ids=["plain", "of Windows", "with a mark of its encoding"],
)
def test_names(tmp_path, content):
    (tmp_path / "val.txt").write_bytes(content)
    assert read_names(tmp_path / "val.txt") == ["a", "b/c d"]


@pytest.mark.parametrize(
    "content, message",
    [
        (None, r"val\.txt cannot be read"),
        (b"", r"val\.txt is empty; write one name a line"),
        (b" \n\n", r"val\.txt is empty"),
        (b"a\nb\na\nc\nb\na", r"val\.txt names 2 images more than once, the first is a; leave"),
        ("a\n\u00e4".encode("latin-1"), r"val\.txt is not text in UTF-8 \(byte 2\); save it"),
        ("a\n".encode("utf-16"), r"val\.txt is not text in UTF-8"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, content, message):
    if content is not None:
        (tmp_path / "val.txt").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_names(tmp_path / "val.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("bush; shr\u00fcb".encode("latin-1"), r"classes\.txt is not text in UTF-8 \(byte 9\)"),
        (b"\n \n", r"classes\.txt has no name in it"),
        (None, r"classes\.txt does not exist"),
    ],
)
def test_files_of_classes_that_cannot_be_used(tmp_path, content, message):
    if content is not None:
        (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_class_words(tmp_path / "classes.txt")
