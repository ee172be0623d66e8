"""Processes that torchrun, Slurm or MPI start find each other without a GPU."""

from __future__ import annotations

import argparse
import os

import pytest
from torch import distributed

from ovseg.apis import launching
from ovseg.apis.launching import add_launcher_argument, end_processes, start_processes
from ovseg.apis.peers import Peers
from ovseg.errors import ConfigError, PeerError
from tests.two_processes import run_two

TORCH = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
SLURM = {"SLURM_PROCID": "{rank}", "SLURM_NTASKS": "2", "SLURM_LOCALID": "{rank}"}
MPI = {
    "OMPI_COMM_WORLD_RANK": "{rank}",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "{rank}",
}


@pytest.mark.parametrize(
    ("launcher", "given"),
    [("pytorch", None), ("slurm", {**SLURM, "SLURM_NODELIST": "here"}), ("mpi", MPI)],
)
def test_two_processes_find_each_other(launcher, given):
    def work(rank: int) -> int:
        if given is not None:
            for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
                del os.environ[name]
            os.environ.update({name: value.format(rank=rank) for name, value in given.items()})
        start_processes(launcher, timeout=60)
        peers = Peers.of_this_run()
        assert peers == Peers(rank, 2) and distributed.get_backend() == "gloo"
        assert peers.agree(lambda: f"by {rank}") == "by 0"
        assert sorted([*peers.share(range(5)), *peers.share(range(0))]) == [[0, 2, 4], [1, 3]][rank]
        assert peers.collect([rank] * (rank + 1)) == [0, 1, 1]
        try:
            with peers.together():
                assert rank == 0
        except PeerError as error:
            assert rank == 0 and "Process 1 of 2 failed" in str(error)
        except AssertionError:
            assert rank == 1
        else:
            return 1
        end_processes()
        return 0 if Peers.of_this_run() == Peers(0, 1) else 1

    assert run_two(work) == [0, 0]


def test_one_process_is_enough_for_itself():
    start_processes("none")
    peers = Peers.of_this_run()
    assert peers == Peers(0, 1)
    assert peers.agree(lambda: 3) == 3 and peers.collect((1, 2)) == [1, 2]
    assert list(peers.share([4, 5])) == [4, 5]
    with pytest.raises(KeyError), peers.together():
        raise KeyError


@pytest.mark.parametrize(
    ("launcher", "given", "message"),
    [
        ("pytorch", {}, "torchrun starts, but RANK is not set"),
        ("slurm", {}, "srun starts, but SLURM_PROCID is not set"),
        ("mpi", {}, "mpirun starts, but OMPI_COMM_WORLD_RANK is not set"),
        ("mpi", MPI, "Set MASTER_ADDR"),
        ("slurm", {**SLURM, "SLURM_NODELIST": "nowhere[1-2]"}, "set MASTER_ADDR"),
    ],
)
def test_processes_that_nothing_started(launcher, given, message, monkeypatch):
    for name in (*TORCH, *SLURM, *MPI, "SLURM_NODELIST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value.format(rank=0))
    with pytest.raises(ConfigError, match=message):
        start_processes(launcher)


def test_the_first_machine_is_asked_of_slurm(tmp_path, monkeypatch):
    program = tmp_path / "scontrol"
    program.write_text("#!/bin/sh\necho node7\necho node8\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert launching._first_host("node[7-8]") == "node7"


@pytest.mark.parametrize(
    ("run_id", "argv", "expected"),
    [
        (None, [], "none"),
        ("7", [], "pytorch"),
        ("7", ["--launcher", "none"], "none"),
        (None, ["--launcher", "slurm"], "slurm"),
    ],
)
def test_torchrun_is_noticed(run_id, argv, expected, monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    if run_id is not None:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", run_id)
    parser = argparse.ArgumentParser()
    add_launcher_argument(parser)
    assert parser.parse_args(argv).launcher == expected
