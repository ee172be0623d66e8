"""What the tools that run MMEngine have in common: configs, launchers, and errors in one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from ovseg.apis.launching import add_launcher_argument, end_processes, start_processes
from ovseg.apis.presets import set_protocol
from ovseg.errors import OvsegError
from ovseg.utils.config_errors import change_config, read_config
from ovseg.utils.own_log import OwnLog

__all__ = [
    "FrozenRunner",
    "add_common_arguments",
    "add_run_arguments",
    "apply_arguments",
    "load_config",
    "prepare_launch",
    "report_errors",
]


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that every tool takes."""
    parser.add_argument("config", metavar="CONFIG", help="configuration file")
    parser.add_argument(
        "--work-dir", metavar="DIR", help="where results go (work_dirs/<name of the config>)"
    )
    add_run_arguments(parser)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of whatever runs configs: processes, changed settings, the seed."""
    add_launcher_argument(parser)
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help="change settings of the config, as in model.window_batch=4",
    )
    parser.add_argument("--seed", type=int, help="random seed (of the config, else 0)")
    # torch.distributed.launch still passes it; torchrun says it in the environment.
    parser.add_argument("--local-rank", "--local_rank", type=int, help=argparse.SUPPRESS)


def load_config(arguments: argparse.Namespace) -> Config:
    """The configuration with the changes of the command line; those of ``--cfg-options`` win.

    Raises:
        ConfigError: The file is missing or cannot be read, or it cannot be changed so.
    """
    return apply_arguments(read_config(arguments.config), arguments)


def apply_arguments(config: Config, arguments: argparse.Namespace) -> Config:
    """Change a configuration as the command line says, and give it back.

    Raises:
        ConfigError: There is no such protocol, or a change does not fit the configuration.
    """
    path = Path(arguments.config)
    if getattr(arguments, "protocol", None):
        set_protocol(config.get("model") or {}, arguments.protocol)
    if arguments.cfg_options:
        change_config(config, arguments.cfg_options)
    if arguments.work_dir:
        config.work_dir = arguments.work_dir
    elif config.get("work_dir") is None:
        config.work_dir = os.path.join("work_dirs", path.stem)
    config.launcher = arguments.launcher
    config.setdefault("default_scope", "ovseg")
    randomness = dict(config.get("randomness") or {})
    if arguments.seed is not None:
        randomness["seed"] = arguments.seed
    config.randomness = {"seed": 0, **randomness} if randomness.get("seed") is None else randomness
    if arguments.local_rank is not None:
        os.environ.setdefault("LOCAL_RANK", str(arguments.local_rank))
    return config


def prepare_launch(config: Config) -> None:
    """Set the scope and connect the processes of the run.

    Raises:
        ConfigError: The process was not started by the launcher's program.
    """
    init_default_scope(config.default_scope)
    start_processes(config.launcher, **(config.get("env_cfg") or {}).get("dist_cfg", {}))


class FrozenRunner(OwnLog, Runner):
    """A runner for models that are not trained, which says only what is news.

    They are not wrapped for several processes, since there are no gradients to share; torch refuses
    it where nothing can be trained, and MMEngine's wrapper asks for a GPU. Environment, config and
    hooks, which MMEngine prints before every run, are in the record of the run and in the config
    that is written to the work directory.
    """

    def _log_env(self, env_cfg: dict) -> None:
        """Nothing: see the record of the run."""

    def get_hooks_info(self) -> str:
        """Short: the hooks are those of the config."""
        return ", ".join(type(hook).__name__ for hook in self.hooks)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Only move the model."""
        return model.to(get_device())


def report_errors(run: Callable[[], int | None], go_on: str = "--resume goes on from here") -> int:
    """Run a tool: mistakes a user can mend end in one line and exit code 2, others in a traceback.

    An interruption by the user ends in exit code 130.

    Args:
        run: The tool; gives its exit code, or None for 0.
        go_on: What the user is told to do after an interruption.

    Returns:
        The exit code.
    """
    try:
        return run() or 0
    except OvsegError as error:
        message = str(error)
        if message.startswith("Caught "):  # from a worker of the data loader, with its traceback
            message = message.strip().splitlines()[-1].split(": ", 1)[-1]
        # One write, line end included: processes of one run share the terminal.
        sys.stderr.write(f"{Path(sys.argv[0]).name}: error: {message}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"Interrupted; {go_on}.\n")
        return 130
    finally:
        end_processes()
