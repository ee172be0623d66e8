"""Two processes of one run, forked so that nothing has to be imported again."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable

import pytest
import torch


def run_two(function: Callable[[int], int], limit: float = 120) -> list[int]:
    """Call a function with the rank 0 and 1 in two processes that torch can connect.

    Returns:
        Their exit codes: what the function gave, or minus the signal that ended the process.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def work(rank: int) -> None:
        os.environ.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE="2",
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(port),
        )
        torch.set_num_threads(1)
        code = 1
        try:
            code = function(rank)
        finally:
            os._exit(code)

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work, args=(rank,)) for rank in range(2)]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(limit)
            if process.is_alive():
                pytest.fail("a process hangs")
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
    return [process.exitcode for process in processes]
