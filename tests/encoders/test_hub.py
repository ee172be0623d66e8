from __future__ import annotations

import hashlib

import pytest
from huggingface_hub import constants

from ovseg.encoders import hub
from ovseg.encoders.download import UnavailableError
from ovseg.errors import ChecksumError

CONTENT = b"weights" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()
REPO = "someone/model"
FILES = ("model.safetensors", "model.bin")


def _path(file):
    return f"/{REPO}/resolve/main/{file}"


@pytest.fixture
def online(server, hub_at):
    hub_at(server.url)
    server.files["/"] = b""
    return server


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("sha256", [None, DIGEST])
def test_first_file_that_exists(online, file, sha256):
    online.files[_path(file)] = CONTENT
    path = hub.download_from_hub(REPO, FILES, sha256)
    assert path.read_bytes() == CONTENT
    assert path.name == file
    assert hub.blob_digest(path) == DIGEST == hub.digest_of(path)
    assert hub.cached(REPO, FILES) == path


def test_file_is_looked_for_without_network(online):
    assert hub.cached(REPO, FILES) is None
    assert online.asked == []


def test_digest_that_is_not_ours(online):
    online.files[_path(FILES[0])] = CONTENT
    with pytest.raises(ChecksumError, match=f"{DIGEST}, expected {'0' * 64}"):
        hub.download_from_hub(REPO, FILES, "0" * 64)
    assert hub.cached(REPO, FILES) is None


def test_digest_that_is_not_what_the_hub_states(online):
    online.files[_path(FILES[0])] = CONTENT
    online.digests[_path(FILES[0])] = "1" * 64
    with pytest.raises(ChecksumError, match=f"{DIGEST}, expected {'1' * 64}"):
        hub.download_from_hub(REPO, FILES)
    assert hub.cached(REPO, FILES) is None


def test_no_such_file(online):
    with pytest.raises(UnavailableError, match=r"model\.safetensors cannot be had: no such file"):
        hub.download_from_hub(REPO, FILES)


def test_no_network(closed_port, hub_at):
    hub_at(closed_port)
    with pytest.raises(UnavailableError, match=r"model\.safetensors cannot be reached"):
        hub.download_from_hub(REPO, FILES)


def test_whatever_the_client_raises(online, monkeypatch):
    import huggingface_hub

    def fail(*_, **__):
        raise RuntimeError("the wire broke") from OSError("a mouse bit it")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(UnavailableError, match="cannot be had: a mouse bit it"):
        hub.download_from_hub(REPO, FILES)


def test_a_repository_behind_a_licence(online, monkeypatch):
    import huggingface_hub
    from huggingface_hub.utils import GatedRepoError

    def fail(*_, **__):
        raise GatedRepoError.__new__(GatedRepoError)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(UnavailableError, match="needs its licence accepted on the hub"):
        hub.download_from_hub(REPO, FILES)


def test_offline_mode(online, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UnavailableError, match="HF_HUB_OFFLINE is set"):
        hub.download_from_hub(REPO, FILES)
    assert online.asked == []
