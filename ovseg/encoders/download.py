"""Downloading one file from a plain address: progress, resuming, checksum, atomic rename."""

from __future__ import annotations

import contextlib
import http.client
import logging
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from ovseg.encoders.digests import sha256_of
from ovseg.errors import ChecksumError, WeightsError

__all__ = ["UnavailableError", "download", "verify"]

_LOGGER = logging.getLogger("ovseg")
_BLOCK = 1 << 18
_TIMEOUT = 30.0
_QUIET_BELOW = 1 << 20  # no progress bar for files smaller than this


class UnavailableError(WeightsError):
    """The address gives no file now; the message says why, the caller says what to do."""


class _CutError(Exception):
    """The connection ended before the file did, or the server asked to come back later."""


def verify(path: Path, sha256: str | None) -> None:
    """Compare a file with a digest, whole or its first digits.

    Raises:
        ChecksumError: They differ; names the file and both digests.
    """
    if sha256 is None:
        return
    found = sha256_of(path)
    if not found.startswith(sha256.lower()):
        raise ChecksumError(
            f"{path} is not the file it should be: its sha256 is {found}, expected {sha256}. "
            "Remove it and try again."
        )


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    attempts: int = 5,
    pause: float = 1.0,
) -> Path:
    """Download ``url`` to ``target``.

    The bytes gather in ``<target>.part``. A connection that is cut is taken up where it ended with
    an HTTP Range request, within this call and in later ones; a server that ignores Range is read
    from the start. The finished file is checked and then renamed, so ``target`` is never half a
    file. Several processes may ask for the same target at once; one of them downloads.

    Args:
        url: Plain http or https address.
        target: Where the file shall be.
        sha256: Expected digest, whole or its first digits.
        size: Expected bytes.
        attempts: How often an ended connection is taken up again without any byte of progress.
        pause: Seconds before the second attempt, doubled for each later one.

    Raises:
        UnavailableError: The server does not have the file, refuses it, or cannot be reached.
        ChecksumError: The whole file came and is another one; it was removed.
        WeightsError: The file cannot be written (folder, disk space).
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(target) + ".lock"):
            if not target.exists():
                _complete(url, part, sha256, size, attempts, pause)
                part.replace(target)
    except UnavailableError:
        raise
    except OSError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(
            f"cannot write {target}: {error.strerror or error}. Free some space or choose another "
            "folder (TORCH_HOME, HF_HOME)."
        ) from error
    with contextlib.suppress(OSError):
        Path(str(target) + ".lock").unlink()
    return target


def _complete(
    url: str, part: Path, sha256: str | None, size: int | None, attempts: int, pause: float
) -> None:
    """Bring ``part`` to its full, verified length."""
    resumed = part.exists() and part.stat().st_size > 0
    _gather(url, part, size, attempts, pause)
    try:
        _check(part, url, sha256, size)
    except ChecksumError:
        part.unlink()
        if not resumed:
            raise
        # The part may have begun as another version of the file: once more, from the start.
        _gather(url, part, size, attempts, pause)
        try:
            _check(part, url, sha256, size)
        except ChecksumError:
            part.unlink()
            raise


def _check(part: Path, url: str, sha256: str | None, size: int | None) -> None:
    count = part.stat().st_size
    if size is not None and count != size:
        raise ChecksumError(
            f"{url} gave {count} bytes where {size} were expected; they were removed."
        )
    if sha256 is not None and not (found := sha256_of(part)).startswith(sha256.lower()):
        raise ChecksumError(
            f"{url} gave a file with sha256 {found}, expected {sha256}; it was removed. "
            "Try again, or get the file by another way."
        )


def _gather(url: str, part: Path, size: int | None, attempts: int, pause: float) -> None:
    fruitless = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _once(url, part, before, size)
        except _CutError as error:
            after = part.stat().st_size if part.exists() else 0
            fruitless = 0 if after > before else fruitless + 1
            if fruitless >= attempts:
                raise UnavailableError(
                    f"{url} ended after {after} bytes and could not be taken up again ({error}); "
                    f"the bytes are kept in {part} for the next try"
                ) from error
            _LOGGER.info("connection to %s ended after %d bytes; resuming", url, after)
            time.sleep(pause * 2**fruitless if fruitless else 0)


def _once(url: str, part: Path, start: int, size: int | None) -> None:
    """One request for the rest of the file; ``_CutError`` when the connection ends before it."""
    request = urllib.request.Request(url, headers={"User-Agent": "ovseg"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:
                # Nothing after `start`: the part is whole, or is not of this file at all.
                total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
                if total == str(start):
                    return
                part.unlink()
                raise _CutError("the part did not belong to the file") from error
            if error.code == 429 or error.code >= 500:
                raise _CutError(f"HTTP {error.code} {error.reason}") from error
            raise UnavailableError(
                f"{url} cannot be had: HTTP {error.code} {error.reason}"
            ) from error
    except (ConnectionResetError, http.client.RemoteDisconnected, TimeoutError) as error:
        raise _CutError(str(error)) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, (TimeoutError, ConnectionResetError)):
            raise _CutError(str(error.reason)) from error
        raise UnavailableError(f"{url} cannot be reached: {error.reason}") from error
    with response:
        _receive(response, part, start if response.status == 206 else 0, size)


def _receive(response: http.client.HTTPResponse, part: Path, start: int, size: int | None) -> None:
    length = response.headers.get("Content-Length")
    total = start + int(length) if length is not None else size
    if total is not None:
        free = shutil.disk_usage(part.parent).free
        if free < total - start:
            raise OSError(28, f"{total - start} bytes are needed and {free} are free")
    quiet = total is not None and total < _QUIET_BELOW
    with (
        part.open("ab" if start else "wb") as stream,
        tqdm(
            desc=part.name.removesuffix(".part"),
            total=total,
            initial=start,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            disable=quiet,
        ) as bar,
    ):
        received = start
        while True:
            try:
                block = response.read(_BLOCK)
            except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
                raise _CutError(str(error)) from error
            if not block:
                break
            stream.write(block)
            received += len(block)
            bar.update(len(block))
    if total is not None and received < total:
        raise _CutError(f"{received} of {total} bytes")
