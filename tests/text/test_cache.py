from __future__ import annotations

import os

import pytest
import safetensors.torch
import torch

from ovseg.text.cache import EmbeddingCache, default_cache_dir

ROWS = torch.arange(12, dtype=torch.float32).reshape(4, 3)


def test_what_is_stored_is_loaded(tmp_path):
    cache = EmbeddingCache(tmp_path / "not" / "yet")
    assert cache.load("key", 4) is None
    assert cache.store("key", ROWS)
    assert torch.equal(cache.load("key", 4), ROWS)
    assert [path.name for path in cache.folder.iterdir()] == ["key.safetensors"]


def test_a_key_is_replaced(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.store("key", ROWS)
    cache.store("key", ROWS + 1)
    assert torch.equal(cache.load("key", 4), ROWS + 1)


def _flip(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"not safetensors at all",
        lambda content: content[: len(content) // 2],
        lambda content: content + b"more",
        _flip,
        lambda content: safetensors.torch.save({"embeddings": ROWS}),
        lambda content: safetensors.torch.save({"other": ROWS}),
    ],
)
def test_a_damaged_file_counts_as_missing(tmp_path, damage):
    cache = EmbeddingCache(tmp_path)
    cache.store("key", ROWS)
    path = cache.path("key")
    path.write_bytes(damage(path.read_bytes()))
    assert cache.load("key", 4) is None


def test_another_count_of_rows_counts_as_missing(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.store("key", ROWS)
    assert cache.load("key", 5) is None


def test_a_folder_in_the_place_of_the_file_counts_as_missing(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.path("key").mkdir()
    assert cache.load("key", 4) is None


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = EmbeddingCache(tmp_path / "file" / "text")
    with pytest.warns(UserWarning, match="could not be cached .* OVSEG_CACHE"):
        assert not cache.store("key", ROWS)


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    cache = EmbeddingCache(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert not cache.store("key", ROWS)
    assert list(tmp_path.iterdir()) == []


def test_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path))
    assert EmbeddingCache().folder == tmp_path / "text"
    monkeypatch.delenv("OVSEG_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache_dir() == tmp_path / "home" / ".cache" / "ovseg" / "text"
