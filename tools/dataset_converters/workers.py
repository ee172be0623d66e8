"""Work in several processes that end with the one that started them, however that one ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial

from ovseg.errors import PeerError


@contextmanager
def runner(workers: int) -> Iterator[Callable]:
    """`map`, in this process or in others that leave Ctrl-C to this one.

    Args:
        workers: Processes to use; 0 works in this one.

    Raises:
        PeerError: One of them was ended from outside.
    """
    if not workers:
        yield map
        return
    pool = ProcessPoolExecutor(workers, initializer=_begin)
    try:
        yield partial(pool.map, chunksize=4)
    except BrokenProcessPool as error:
        raise PeerError(
            f"One of the {workers} worker processes was ended, probably for want of memory; run "
            "the same command again with --workers 1."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end what runs as Ctrl-C does: open files are put away and workers ended."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what signals do
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _begin() -> None:
    """Set up a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork takes over what the parent does
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # Waits on a pipe that closes with the parent; a parent that is killed says nothing else.
    multiprocessing.parent_process().join()
    os._exit(1)
