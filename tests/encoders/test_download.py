from __future__ import annotations

import hashlib
import shutil
import threading
from types import SimpleNamespace

import pytest

from ovseg.encoders import download as module
from ovseg.encoders.download import UnavailableError, download, verify
from ovseg.errors import ChecksumError, WeightsError

CONTENT = bytes(range(256)) * 2000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def served(server, tmp_path):
    server.files["/f.pt"] = CONTENT
    return server, f"{server.url}/f.pt", tmp_path / "cache" / "f.pt"


def _only(folder, name):
    return [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("sha256", [None, DIGEST, DIGEST[:8], DIGEST.upper()])
def test_success(served, sha256):
    server, url, target = served
    assert download(url, target, sha256=sha256, size=len(CONTENT)) == target
    assert target.read_bytes() == CONTENT
    assert _only(target.parent, "f.pt")
    assert server.asked == [("/f.pt", None)]


def test_a_file_that_is_there_is_not_asked_for(served):
    server, url, target = served
    target.parent.mkdir()
    target.write_bytes(b"mine")
    download(url, target)
    assert target.read_bytes() == b"mine"
    assert server.asked == []


def test_cut_connection_is_resumed_within_a_call(served):
    server, url, target = served
    server.cuts += [1000, 5000]
    download(url, target, sha256=DIGEST, pause=0)
    assert target.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=1000-", "bytes=6000-"]


def test_cut_connection_is_resumed_by_a_later_call(served):
    server, url, target = served
    server.cuts += [1000] + [0] * 2
    with pytest.raises(UnavailableError, match=r"ended after 1000 bytes.*kept in .*f\.pt\.part"):
        download(url, target, attempts=2, pause=0)
    assert target.with_name("f.pt.part").read_bytes() == CONTENT[:1000]
    assert not target.exists()
    server.asked.clear()
    download(url, target, sha256=DIGEST, pause=0)
    assert target.read_bytes() == CONTENT
    assert server.asked == [("/f.pt", "bytes=1000-")]
    assert _only(target.parent, "f.pt")


def test_server_that_ignores_range_is_read_from_the_start(served):
    server, url, target = served
    server.ignore_range = True
    server.cuts.append(1000)
    download(url, target, sha256=DIGEST, pause=0)
    assert target.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=1000-"]


@pytest.mark.parametrize(
    ("part", "asked"),
    [
        (CONTENT, ["bytes=512000-"]),  # whole already: only the rename was missing
        (CONTENT + b"more", ["bytes=512004-", None]),  # longer than the file
        (b"other bytes", ["bytes=11-", None]),  # of another version
    ],
)
def test_parts_left_behind(served, part, asked):
    server, url, target = served
    target.parent.mkdir()
    target.with_name("f.pt.part").write_bytes(part)
    download(url, target, sha256=DIGEST, pause=0)
    assert target.read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == asked


@pytest.mark.parametrize("statuses", [[503], [429, 500]])
def test_a_busy_server_is_asked_again(served, statuses):
    server, url, target = served
    server.statuses += statuses
    download(url, target, sha256=DIGEST, pause=0)
    assert target.read_bytes() == CONTENT


def test_wrong_checksum(served):
    _, url, target = served
    wrong = "0" * 64
    with pytest.raises(ChecksumError) as caught:
        download(url, target, sha256=wrong)
    assert DIGEST in str(caught.value) and wrong in str(caught.value) and url in str(caught.value)
    assert list(target.parent.glob("f.pt*")) in ([], [target.with_name("f.pt.lock")])


def test_wrong_size(served):
    _, url, target = served
    with pytest.raises(ChecksumError, match="gave 512000 bytes where 7 were expected"):
        download(url, target, size=7)
    assert not target.exists()


@pytest.mark.parametrize("status", [403, 404, 410])
def test_missing_on_the_server(served, status):
    server, url, target = served
    server.statuses.append(status)
    with pytest.raises(UnavailableError, match=f"f.pt cannot be had: HTTP {status}"):
        download(url, target)
    assert len(server.asked) == 1
    assert not target.exists()


@pytest.mark.parametrize("address", [None, "http://name.invalid"])
def test_no_network(closed_port, tmp_path, address):
    with pytest.raises(UnavailableError, match="cannot be reached"):
        download(f"{address or closed_port}/f.pt", tmp_path / "f.pt")
    assert not (tmp_path / "f.pt").exists()


def test_folder_that_cannot_be_made(served, tmp_path):
    _, url, _ = served
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"cannot write .*file/f\.pt.*choose another folder"):
        download(url, tmp_path / "file" / "f.pt")


def test_full_disk(served, monkeypatch):
    _, url, target = served
    disk = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=10))
    monkeypatch.setattr(module, "shutil", disk)
    with pytest.raises(WeightsError, match="512000 bytes are needed and 10 are free"):
        download(url, target)
    monkeypatch.setattr(module, "shutil", shutil)
    assert download(url, target).read_bytes() == CONTENT


def test_two_at_once_download_once(served):
    server, url, target = served
    threads = [threading.Thread(target=download, args=(url, target)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_progress_bar_for_large_files_only(served, monkeypatch, capsys):
    _, url, target = served
    download(url, target)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(module, "_QUIET_BELOW", 10)
    download(url, target.with_name("g.pt"))
    assert "g.pt: 100%" in capsys.readouterr().err


def test_verify(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(CONTENT)
    verify(path, None)
    verify(path, DIGEST[:6])
    with pytest.raises(ChecksumError, match=f"its sha256 is {DIGEST}, expected abcdef"):
        verify(path, "abcdef")
