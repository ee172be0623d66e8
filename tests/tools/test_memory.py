from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak")
def test_memory_does_not_grow_with_classes_times_pixels():
    """847 classes on 700 x 900 pixels are 2 GiB of logits; far less may be held."""
    command = [sys.executable, str(ROOT / "tools/benchmark/memory.py"), "maskclip_nano"]
    command += ["--size", "700", "900", "--classes", "847"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    above = int(re.search(r"(\d+) MiB above", done.stdout)[1])
    assert 0 < above < 400, done.stdout
