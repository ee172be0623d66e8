"""Folders that cannot be written to are found out before any work."""

from __future__ import annotations

import pytest

from ovseg.errors import SaveError
from ovseg.utils.writable import check_writable


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
