"""How several processes of one run find each other: MMEngine's launchers, also without a GPU."""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
from types import ModuleType
from typing import Any

from ovseg.errors import ConfigError

__all__ = ["add_launcher_argument", "connected", "end_processes", "start_processes"]

#: What tells a process who it is: the program that starts it sets these variables.
_STARTED_BY = {
    "pytorch": ("torchrun", ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")),
    "slurm": ("srun", ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_NODELIST")),
    "mpi": (
        "mpirun",
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ),
}
_PORT = "29500"  # as torch has it


def add_launcher_argument(parser: argparse.ArgumentParser) -> None:
    """The argument of whatever runs in several processes."""
    parser.add_argument(
        "--launcher",
        choices=["none", *_STARTED_BY],
        # What torchrun starts would otherwise do all of the work in every process.
        default="pytorch" if "TORCHELASTIC_RUN_ID" in os.environ else "none",
        help="how several processes are started (pytorch under torchrun, else none)",
    )


def start_processes(launcher: str, **settings: Any) -> None:
    """Connect the processes of a run; one process is enough for itself.

    Args:
        launcher: "none", "pytorch" (torchrun), "slurm" or "mpi".
        settings: for `mmengine.dist.init_dist`, for example ``backend``; ``timeout`` in seconds.
            Without a GPU the backend is gloo.

    Raises:
        ConfigError: The process was not started by the launcher's program.
    """
    if launcher == "none":
        return
    from torch import distributed

    if distributed.is_initialized():
        return
    program, needed = _STARTED_BY[launcher]
    missing = [name for name in needed if name not in os.environ]
    if missing:
        raise ConfigError(
            f"Launcher {launcher!r} is for processes that {program} starts, but {missing[0]} is "
            f"not set: start this with {program}, or leave --launcher away."
        )
    from mmengine.device import get_device
    from mmengine.dist import init_dist

    if launcher == "mpi" and "MASTER_ADDR" not in os.environ:
        raise ConfigError("Set MASTER_ADDR to the address of the machine that has process 0.")
    if get_device() not in ("cpu", "mps"):
        init_dist(launcher, **settings)
        return
    if launcher != "pytorch":  # MMEngine gives such processes their GPU first
        _name_process(launcher)
    limit = datetime.timedelta(seconds=settings.get("timeout", 1800))
    distributed.init_process_group("gloo", timeout=limit)


def end_processes() -> None:
    """Part from the other processes, if there are any."""
    distributed = connected()
    if distributed is not None:
        distributed.destroy_process_group()


def connected() -> ModuleType | None:
    """torch.distributed, if it has connected this process with others; torch is not imported."""
    distributed = getattr(sys.modules.get("torch"), "distributed", None)
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed


def _name_process(launcher: str) -> None:
    """Set the variables that torchrun would set."""
    if launcher == "slurm":
        names = {
            "RANK": "SLURM_PROCID",
            "WORLD_SIZE": "SLURM_NTASKS",
            "LOCAL_RANK": "SLURM_LOCALID",
        }
        if "MASTER_ADDR" not in os.environ:
            os.environ["MASTER_ADDR"] = _first_host(os.environ["SLURM_NODELIST"])
    else:
        names = {
            "RANK": "OMPI_COMM_WORLD_RANK",
            "WORLD_SIZE": "OMPI_COMM_WORLD_SIZE",
            "LOCAL_RANK": "OMPI_COMM_WORLD_LOCAL_RANK",
        }
    for name, source in names.items():
        os.environ[name] = os.environ.get(source, "0")
    os.environ.setdefault("MASTER_PORT", _PORT)


def _first_host(nodes: str) -> str:
    """The first machine of a list in Slurm's short notation."""
    command = ["scontrol", "show", "hostnames", nodes]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        told = []
    if not told:
        raise ConfigError(
            f"scontrol does not say which machine of {nodes} is the first: set MASTER_ADDR to it."
        )
    return told[0]
