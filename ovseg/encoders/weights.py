"""Where weights come from and how they are checked: sources, fetching, fingerprints."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import torch

from ovseg.encoders import hub
from ovseg.encoders.checkpoint import apply_state_dict, load_state_dict
from ovseg.encoders.digests import sha256_of
from ovseg.encoders.download import UnavailableError, download, verify
from ovseg.errors import WeightsNotFoundError

__all__ = [
    "WeightSource",
    "apply_state_dict",
    "choose_source",
    "fetch",
    "fingerprint",
    "load_state_dict",
    "locate",
    "sha256_of",
]

_DIGITS = 16  # of a digest, in a fingerprint


@dataclasses.dataclass(frozen=True)
class WeightSource:
    """One file of weights: its name, where it lies, and how to know that it is the right one.

    Exactly one of ``path``, ``hub_repo`` and ``url`` says where it lies.

    Attributes:
        name: ``<architecture>/<tag>``, for messages and fingerprints.
        url: Plain address.
        hub_repo: Repository on the Hugging Face hub, ``<owner>/<name>``.
        hub_files: File names in it, the first that exists is taken.
        path: A file on this machine (an explicit one, or one inside this package).
        sha256: Hexadecimal digest, whole or its first digits where only those are published.
        size: Bytes, where known.
        licence: Licence of the weights, where known.
        file_name: What the file of a plain address is called here, where the address does not say.
        alternatives: The same weights elsewhere, tried in turn when this source cannot be had.

    Raises:
        ValueError: None or several places given.
    """

    name: str
    url: str | None = None
    hub_repo: str | None = None
    hub_files: tuple[str, ...] = ()
    path: Path | None = None
    sha256: str | None = None
    size: int | None = None
    licence: str | None = None
    alternatives: tuple[WeightSource, ...] = ()
    file_name: str | None = None

    def __post_init__(self) -> None:
        places = [place for place in (self.url, self.hub_repo, self.path) if place is not None]
        if len(places) != 1 or (self.hub_repo is not None and not self.hub_files):
            raise ValueError(f"source {self.name!r} needs one of url, path, hub_repo with files.")

    @property
    def place(self) -> str:
        """Path or address, for messages."""
        if self.hub_repo is not None:
            return hub.hub_url(self.hub_repo, self.hub_files[0])
        return str(self.path or self.url)


def choose_source(
    model: str,
    pretrained: str | None,
    weights: str | Path | None,
    lookup: Callable[[str, str], WeightSource],
) -> WeightSource | None:
    """The source an encoder's two arguments name; ``None`` means random weights.

    Args:
        model: Name of the architecture.
        pretrained: Tag of known weights, or ``None``.
        weights: An explicit file on this machine; wins over ``pretrained``.
        lookup: ``lookup(model, tag) -> WeightSource`` for known tags.
    """
    if weights is not None:
        path = Path(weights).expanduser()
        return WeightSource(name=f"{model}/{path.stem}", path=path)
    return None if pretrained is None else lookup(model, pretrained)


def locate(source: WeightSource, cache_dir: str | Path | None = None) -> Path | None:
    """The file of ``source`` if it is on this machine already; no network, no check."""
    for one in _each(source):
        for candidate in _candidates(one, cache_dir):
            if candidate.is_file():
                return candidate
    return None


def fetch(source: WeightSource, cache_dir: str | Path | None = None) -> Path:
    """The file of ``source`` on this machine, downloaded on first use.

    Plain addresses go into ``checkpoints`` of torch hub's folder (``TORCH_HOME``), hub files into
    the Hugging Face cache (``HF_HOME``). What is there already is used without any network.

    Args:
        source: What to get.
        cache_dir: Another folder than the usual cache.

    Returns:
        Path of the verified file.

    Raises:
        WeightsNotFoundError: Not on this machine and not to be had; says the reason, the digest,
            the exact path to put the file at, and that the nano models need nothing.
        ChecksumError: The file on this machine, or the one downloaded, is another file. A
            downloaded one was removed, one that lay here was not.
        WeightsError: The file cannot be written.
    """
    for one in _each(source):
        for candidate in _candidates(one, cache_dir):
            if candidate.is_file():
                if hub.blob_digest(candidate) is None:  # blobs were checked when they came
                    verify(candidate, one.sha256)
                return candidate
    if source.path is not None:
        raise WeightsNotFoundError(
            f"no file of weights at {source.path} (for {source.name}): check the path."
        )
    reasons = []
    for one in _each(source):
        try:
            return _download(one, cache_dir)
        except UnavailableError as reason:
            reasons.append(str(reason).rstrip("."))
    raise WeightsNotFoundError(_offline_message(source, reasons, cache_dir))


def fingerprint(model: str, source: WeightSource | None) -> str:
    """Stable name of an architecture with its weights.

    ``<model>/random`` without weights; ``<model>/<tag>/sha256:<16 digits>`` with a file whose
    digest is known or which is on this machine; else ``<model>/<tag>/<address>``. Reads the file
    at most once (memoised) and never downloads.
    """
    if source is None:
        return f"{model}/random"
    path = locate(source)
    if path is not None:
        digest = hub.digest_of(path)
    else:
        digest = source.sha256 or ""
    what = f"sha256:{digest[:_DIGITS]}" if digest else source.place
    return f"{source.name}/{what}"


def _each(source: WeightSource) -> Iterator[WeightSource]:
    yield source
    yield from source.alternatives


def _checkpoints(cache_dir: str | Path | None) -> Path:
    return Path(cache_dir) if cache_dir is not None else Path(torch.hub.get_dir()) / "checkpoints"


def _by_hand(source: WeightSource, cache_dir: str | Path | None) -> Path:
    """Where a file downloaded by hand is looked for."""
    if source.hub_repo is not None:
        name = f"{source.hub_repo}/{source.hub_files[0]}".replace("/", "--")
    else:
        name = source.file_name or unquote(Path(urlsplit(source.url).path).name)
    return _checkpoints(cache_dir) / name


def _candidates(source: WeightSource, cache_dir: str | Path | None) -> Iterator[Path]:
    if source.path is not None:
        yield source.path
        return
    yield _by_hand(source, cache_dir)
    if source.hub_repo is not None:
        folder = Path(cache_dir) if cache_dir is not None else None
        if (found := hub.cached(source.hub_repo, source.hub_files, folder)) is not None:
            yield found


def _download(source: WeightSource, cache_dir: str | Path | None) -> Path:
    if source.hub_repo is not None:
        folder = Path(cache_dir) if cache_dir is not None else None
        return hub.download_from_hub(source.hub_repo, source.hub_files, source.sha256, folder)
    target = _by_hand(source, cache_dir)
    return download(source.url, target, sha256=source.sha256, size=source.size)


def _offline_message(source: WeightSource, reasons: list[str], cache_dir: str | Path | None) -> str:
    digest = f"sha256 {source.sha256}" if source.sha256 else "no published sha256"
    return (
        f"weights {source.name!r} are not on this machine and cannot be downloaded "
        f"({'; '.join(reasons)}). Download {source.place} ({digest}) elsewhere and put it at "
        f"{_by_hand(source, cache_dir)}, or give its path as weights=. "
        "The nano models need no download."
    )
