"""Workers that are ended, and workers whose parent is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ovseg.errors import PeerError
from tests.tools.converters import CONVERTERS, conversion, workers

#: A tool whose two workers tell their numbers and then have work for long.
TOOL = """
import os, sys, time
from functools import partial
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conversion import run_tool
from workers import runner


def work(folder, number):
    (folder / str(os.getpid())).touch()
    time.sleep(0.2 if number else 1)
    return number


def main(folder):
    with runner(2) as run:
        list(run(partial(work, folder), range(800)))


if __name__ == "__main__":
    sys.exit(run_tool(partial(main, Path(sys.argv[2]))))
"""


def end(number):
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_worker_that_is_killed():
    with (
        pytest.raises(PeerError, match=r"worker processes was ended.*--workers 1"),
        workers.runner(2) as run,
    ):
        list(run(end, range(9)))


def test_a_worker_that_is_killed_ends_a_tool_in_one_line(capsys):
    def run():
        with workers.runner(2) as mapped:
            list(mapped(end, range(9)))

    assert conversion.run_tool(run) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "probably for want of memory" in error


def lives(number):
    """Whether a process is there; one that nobody has taken note of the end of is not."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{number}/stat")
    return not state.exists() or ") Z " not in state.read_text()


def until(condition):
    for _ in range(300):
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("number, code", [(signal.SIGKILL, -9), (signal.SIGTERM, 130)])
def test_workers_end_with_their_parent(tmp_path, number, code):
    script, folder = tmp_path / "tool.py", tmp_path / "numbers"
    script.write_text(TOOL)
    folder.mkdir()
    paths = os.pathsep.join([str(CONVERTERS.parents[1]), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, str(script), str(CONVERTERS), str(folder)],
        env=dict(os.environ, PYTHONPATH=paths, OMP_NUM_THREADS="1"),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert until(lambda: len(list(folder.iterdir())) == 2)
        numbers = [int(path.name) for path in folder.iterdir()]
        assert all(map(lives, numbers))
        process.send_signal(number)
        assert process.wait(30) == code
        assert until(lambda: not any(map(lives, numbers)))
        told = process.stderr.read()
        assert ("Interrupted; the same command goes on" in told) == (number == signal.SIGTERM)
        assert "Traceback" not in told
    finally:
        process.kill()
        process.stderr.close()


def test_what_sigterm_does_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    assert conversion.run_tool(lambda: os.kill(os.getpid(), signal.SIGTERM)) == 130
    assert signal.getsignal(signal.SIGTERM) == before
