"""Files of the Hugging Face hub: its own cache, progress and resuming, with a checksum on top."""

from __future__ import annotations

import errno
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path

from ovseg.encoders.digests import sha256_of
from ovseg.encoders.download import UnavailableError, verify
from ovseg.errors import ChecksumError

__all__ = ["blob_digest", "cached", "digest_of", "download_from_hub", "hub_url"]

_NO_NETWORK = (socket.gaierror, ConnectionRefusedError)
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)


def hub_url(repo: str, file: str) -> str:
    """Address a person can download the file from (of the mirror in ``HF_ENDPOINT``, if set)."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repo}/resolve/main/{file}"


def cached(repo: str, files: tuple[str, ...], cache_dir: Path | None = None) -> Path | None:
    """The first of ``files`` that is in the hub's cache, without any network."""
    from huggingface_hub import try_to_load_from_cache

    for file in files:
        found = try_to_load_from_cache(repo, file, cache_dir=cache_dir)
        if isinstance(found, str):
            return Path(found)
    return None


def blob_digest(path: Path) -> str | None:
    """SHA-256 the hub states for a cached file, which is the name of its blob; None if unknown."""
    name = path.resolve().name
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else None


def download_from_hub(
    repo: str, files: tuple[str, ...], sha256: str | None = None, cache_dir: Path | None = None
) -> Path:
    """Download the first of ``files`` the repository has, into the hub's cache.

    The digest is compared with ``sha256`` when given, and always with the one the hub states.

    Raises:
        UnavailableError: No such repository or file, no access, no network, or offline mode.
        ChecksumError: The file is another one; it was removed from the cache.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    _check_reachable(hub_url(repo, files[0]))
    for file in files:
        address = hub_url(repo, file)
        try:
            path = Path(hf_hub_download(repo, file, cache_dir=cache_dir, library_name="ovseg"))
        except LocalEntryNotFoundError as error:
            # Also raised in offline mode; it hides what happened on the wire in its cause.
            raise UnavailableError(f"{address} cannot be reached: {_reason(error)}") from error
        except EntryNotFoundError:
            continue
        except GatedRepoError as error:
            raise UnavailableError(
                f"{address} needs its licence accepted on the hub and a token (hf auth login)"
            ) from error
        except RepositoryNotFoundError as error:
            raise UnavailableError(f"{address} cannot be had: no such repository") from error
        except Exception as error:  # the client has changed its HTTP library more than once
            raise UnavailableError(f"{address} cannot be had: {_reason(error)}") from error
        try:
            verify(path, sha256)
            verify(path, blob_digest(path))
        except ChecksumError:
            blob = path.resolve()
            path.unlink()
            blob.unlink(missing_ok=True)
            raise
        return path
    raise UnavailableError(
        f"{hub_url(repo, files[0])} cannot be had: no such file in the repository"
    )


def _check_reachable(address: str) -> None:
    """Fail at once where there is no network; the hub's client would retry for half a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise UnavailableError(f"{address} cannot be reached: HF_HUB_OFFLINE is set")
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.URLError as error:
        # Anything else, certificates for instance, is for the client, which may know better.
        reason = getattr(error, "reason", None)
        if isinstance(reason, _NO_NETWORK) or getattr(reason, "errno", None) in _NO_ROUTE:
            raise UnavailableError(f"{address} cannot be reached: {reason}") from error
    except OSError:
        return


def _reason(error: BaseException) -> str:
    first = error
    while first.__cause__ is not None:
        first = first.__cause__
    lines = [line for line in str(first).splitlines() if line.strip()]
    return lines[0] if lines else type(first).__name__


def digest_of(path: Path) -> str:
    """SHA-256 of a cached file, from its blob's name where it has one."""
    return blob_digest(path) or sha256_of(path)
