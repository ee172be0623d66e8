"""Where weights come from and how they are checked: sources, fetching, loading."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ovseg.encoders.checkpoint import apply_state_dict, load_state_dict, sha256_of

__all__ = [
    "WeightSource",
    "apply_state_dict",
    "choose_source",
    "fetch",
    "fingerprint",
    "load_state_dict",
    "sha256_of",
]


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
    """

    name: str
    url: str | None = None
    hub_repo: str | None = None
    hub_files: tuple[str, ...] = ()
    path: Path | None = None
    sha256: str | None = None
    size: int | None = None
    licence: str | None = None


def choose_source(
    model: str,
    pretrained: str | None,
    weights: str | Path | None,
    lookup,
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
        return WeightSource(name=f"{model}/{path.name}", path=path)
    return None if pretrained is None else lookup(model, pretrained)


def fetch(source: WeightSource, cache_dir: str | Path | None = None) -> Path:
    """The file of ``source`` on this machine, downloaded on first use."""
    raise NotImplementedError


def fingerprint(model: str, source: WeightSource | None) -> str:
    """``<model>/random`` or ``<model>/<tag>/sha256:...``."""
    raise NotImplementedError
