from __future__ import annotations

import hashlib
import os

import pytest

from ovseg.encoders import digests
from ovseg.encoders.digests import sha256_of


def _digest(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def computed(monkeypatch):
    """Every file is large; log of the files that were read."""
    log = []
    real = digests._compute

    def compute(path):
        log.append(path.name)
        return real(path)

    monkeypatch.setattr(digests, "_compute", compute)
    monkeypatch.setattr(digests, "_LARGE", 0)
    digests._sha256.cache_clear()
    return log


def test_content_and_change(tmp_path):
    path = tmp_path / "f"
    for content in (b"abc", b"abcd", b""):
        path.write_bytes(content)
        assert sha256_of(path) == sha256_of(str(path)) == _digest(content)


def test_remembered_between_runs(tmp_path, computed):
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    for _ in range(2):
        assert sha256_of(path) == _digest(b"abc")
        digests._sha256.cache_clear()  # another run
    assert computed == ["f"]
    os.utime(path, ns=(1, 1))
    assert sha256_of(path) == _digest(b"abc")
    assert computed == ["f", "f"]


def test_small_files_leave_no_trace(tmp_path, computed, monkeypatch):
    monkeypatch.setattr(digests, "_LARGE", 4)
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    sha256_of(path)
    assert not (tmp_path / "ovseg").exists()


@pytest.mark.parametrize("record", ["", "{}", "[]", '{"key": 1, "sha256": "x"}'])
def test_damaged_records_are_replaced(tmp_path, computed, record):
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    sha256_of(path)
    (file,) = (tmp_path / "ovseg" / "digests").iterdir()
    good = file.read_text()
    file.write_text(record)
    digests._sha256.cache_clear()
    assert sha256_of(path) == _digest(b"abc")
    assert file.read_text() == good


def test_cache_that_cannot_be_written(tmp_path, computed, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path / "file"))
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    assert sha256_of(path) == _digest(b"abc")
