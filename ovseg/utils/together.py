"""Processes of one run that fail together, so that none waits for another that gave up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.dist import all_gather_object, get_rank

from ovseg.errors import OvsegError, PeerError

__all__ = ["together"]


@contextmanager
def together() -> Iterator[None]:
    """Run a block in all processes; where it fails in one, all raise behind it.

    The block must not hold calls in which processes wait for each other after anything that may
    fail. In a single process it does nothing.

    Raises:
        PeerError: Another process failed; its message is told.
        Exception: What the block raised in this process.
    """
    error: Exception | None = None
    try:
        yield
    except Exception as caught:
        error = caught
    told = None
    if error is not None:
        name = "" if isinstance(error, OvsegError) else f"{type(error).__name__}: "
        told = f"{name}{error}"
    messages = all_gather_object(told)
    if error is not None:
        raise error
    for rank, message in enumerate(messages):
        if message is not None and rank != get_rank():
            raise PeerError(f"Process {rank} of {len(messages)} failed: {message}")
