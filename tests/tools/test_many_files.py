from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the memory")
def test_memory_is_told_at_parts_of_the_folder():
    command = [sys.executable, str(ROOT / "tools/benchmark/many_files.py")]
    command += ["--images", "200", "--side", "256"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    first, *rest = done.stdout.splitlines()
    assert first.startswith("200 pictures in ")
    told = {int(line.split()[0]): int(line.split()[2]) for line in rest}
    assert list(told) == [2, 20, 100, 200]
    assert all(memory > 0 for memory in told.values())
    # Kept, the pictures and their results would be 120 MiB more.
    assert told[200] - told[20] < 60
