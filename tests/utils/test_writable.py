"""Folders that cannot be written to are found out before any work; files are whole or not there."""

from __future__ import annotations

import pytest

from ovseg.errors import SaveError
from ovseg.utils.writable import check_writable, write_whole


def test_a_folder_is_made_and_left_empty(tmp_path):
    check_writable(tmp_path / "a/b")
    assert list((tmp_path / "a/b").iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "reason"), [("taken", "File exists"), ("taken/below", "Not a directory")]
)
def test_what_cannot_be_written_to(tmp_path, folder, reason):
    (tmp_path / "taken").write_text("")
    with pytest.raises(SaveError, match=reason):
        check_writable(tmp_path / folder)


@pytest.mark.parametrize("name", ["new.txt", "folder/new.txt", "there.txt", "n" * 240 + ".txt"])
def test_a_file_is_written_whole(tmp_path, name):
    (tmp_path / "there.txt").write_text("before")
    write_whole(tmp_path / name, b"after")
    assert (tmp_path / name).read_bytes() == b"after"
    assert not list((tmp_path / name).parent.glob(".*"))


@pytest.mark.parametrize("name", ["there.txt/new.txt", "folder"])
def test_a_file_that_cannot_be_written(tmp_path, name):
    (tmp_path / "there.txt").write_text("before")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SaveError, match="Cannot write"):
        write_whole(tmp_path / name, b"after")
    assert (tmp_path / "there.txt").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "there.txt"]
