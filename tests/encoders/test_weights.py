from __future__ import annotations

import hashlib

import pytest

from ovseg.encoders import weights
from ovseg.encoders.weights import WeightSource, choose_source, fetch, fingerprint, locate
from ovseg.errors import ChecksumError, WeightsNotFoundError

CONTENT = b"weights" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def _url(base, **more):
    return WeightSource(name="model/tag", url=f"{base}/some%20file.pt?x=1", **more)


def _hub(**more):
    return WeightSource(name="model/tag", hub_repo="a/b", hub_files=("f.safetensors",), **more)


@pytest.mark.parametrize(
    "places",
    [{}, {"url": "u", "hub_repo": "r", "hub_files": ("f",)}, {"hub_repo": "r"}],
)
def test_a_source_has_one_place(places):
    with pytest.raises(ValueError, match="needs one of url, path, hub_repo"):
        WeightSource(name="n", **places)


def test_url_goes_to_the_usual_cache_once(server, tmp_path):
    server.files["/some%20file.pt?x=1"] = CONTENT
    source = _url(server.url, sha256=DIGEST)
    assert locate(source) is None
    path = fetch(source)
    assert path == tmp_path / "torch" / "hub" / "checkpoints" / "some file.pt"
    assert path.read_bytes() == CONTENT
    assert fetch(source) == locate(source) == path
    assert len(server.asked) == 1


def test_own_cache_folder(server, tmp_path):
    server.files["/some%20file.pt?x=1"] = CONTENT
    assert fetch(_url(server.url), tmp_path / "mine") == tmp_path / "mine" / "some file.pt"


def test_hub_goes_to_its_cache_once(server, hub_at, tmp_path):
    hub_at(server.url)
    server.files["/a/b/resolve/main/f.safetensors"] = CONTENT
    path = fetch(_hub())
    assert path.is_relative_to(tmp_path / "hf")
    asked = len(server.asked)
    assert fetch(_hub()) == path
    assert len(server.asked) == asked


@pytest.mark.parametrize("kind", ["url", "hub"])
def test_offline_is_one_clear_error_and_the_remedy_works(closed_port, hub_at, tmp_path, kind):
    hub_at(closed_port)
    source = _url(closed_port, sha256=DIGEST) if kind == "url" else _hub(sha256=DIGEST)
    name = "some file.pt" if kind == "url" else "a--b--f.safetensors"
    place = tmp_path / "torch" / "hub" / "checkpoints" / name
    with pytest.raises(WeightsNotFoundError) as caught:
        fetch(source)
    message = str(caught.value)
    for part in ("'model/tag'", "cannot be reached", DIGEST, str(place), source.place, "nano"):
        assert part in message
    assert "\n" not in message
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(CONTENT)
    assert fetch(source) == place


def test_missing_on_the_server_says_so(server):
    with pytest.raises(WeightsNotFoundError, match=r"HTTP 404.*no published sha256"):
        fetch(_url(server.url))


def test_alternatives_are_tried_in_turn(server, closed_port, hub_at):
    hub_at(server.url)
    server.files["/a/b/resolve/main/f.safetensors"] = CONTENT
    source = _url(closed_port, alternatives=(_hub(),))
    path = fetch(source)
    assert path.read_bytes() == CONTENT
    assert fetch(source) == path == locate(source)


def test_all_alternatives_in_the_error(closed_port, hub_at):
    hub_at(closed_port)
    with pytest.raises(WeightsNotFoundError, match=r"some%20file.*cannot be .*f\.safetensors"):
        fetch(_url(closed_port, alternatives=(_hub(),)))


def test_file_that_lies_there_is_verified_and_kept(server, tmp_path):
    place = tmp_path / "torch" / "hub" / "checkpoints" / "some file.pt"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"other")
    with pytest.raises(ChecksumError, match=f"{place}.*expected {DIGEST}"):
        fetch(_url(server.url, sha256=DIGEST))
    assert place.exists()


def test_explicit_file(tmp_path):
    path = tmp_path / "mine.pt"
    source = choose_source("model", "tag", path, lookup=None)
    with pytest.raises(WeightsNotFoundError, match=f"no file of weights at {path}"):
        fetch(source)
    path.write_bytes(CONTENT)
    assert fetch(source) == path
    assert fingerprint("model", source) == f"model/mine/sha256:{DIGEST[:16]}"


def test_choose_source():
    assert choose_source("m", None, None, lookup=None) is None
    assert choose_source("m", "t", None, lookup=lambda *names: names) == ("m", "t")


def test_fingerprints_need_no_network(closed_port, hub_at):
    hub_at(closed_port)
    assert fingerprint("m", None) == "m/random"
    known = _url(closed_port, sha256=DIGEST)
    assert fingerprint("model", known) == f"model/tag/sha256:{DIGEST[:16]}"
    unknown = _hub()
    assert fingerprint("model", unknown) == f"model/tag/{unknown.place}"


def test_fingerprint_of_a_hub_file_is_its_digest(server, hub_at):
    hub_at(server.url)
    server.files["/a/b/resolve/main/f.safetensors"] = CONTENT
    fetch(_hub())
    assert fingerprint("model", _hub()) == f"model/tag/sha256:{DIGEST[:16]}"


def test_public_names():
    assert weights.load_state_dict.__module__ == "ovseg.encoders.checkpoint"
