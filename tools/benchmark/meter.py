"""What a function costs: time, and the most memory held above what was held before."""

from __future__ import annotations

import ctypes
import ctypes.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

__all__ = ["Meter"]


class Meter:
    """Times and memory of functions, on a CPU or a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wait(self) -> None:
        """Until the GPU is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def turn(self, function: Callable[[], Any]) -> dict[str, float | None]:
        """Seconds that passed, seconds of the processor, and MiB held at the most above before.

        Memory is None where nothing tells.
        """
        account = self._cuda_account if self.device.type == "cuda" else self._linux_account
        self.wait()
        peak = account()
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        self.wait()
        seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        return {**seconds, "peak_mib": peak()}

    def _cuda_account(self) -> Callable[[], float | None]:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        return lambda: (torch.cuda.max_memory_allocated(self.device) - before) / 2**20

    def _linux_account(self) -> Callable[[], float | None]:
        clear = Path("/proc/self/clear_refs")
        if not clear.exists():
            return lambda: None
        _give_back_memory()
        clear.write_text("5")
        before = _memory_kib("VmRSS")
        return lambda: (_memory_kib("VmHWM") - before) / 2**10


def _memory_kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def _give_back_memory() -> None:
    """What was freed goes back to the system, so that it does not count as held before."""
    library = ctypes.util.find_library("c")
    if library is not None and hasattr(ctypes.CDLL(library), "malloc_trim"):
        ctypes.CDLL(library).malloc_trim(0)
