"""Training the model of a configuration."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config

from ovseg.apis.running import prepare_launch
from ovseg.engine.runner import TrainRunner
from ovseg.errors import ConfigError
from ovseg.utils.checkpoints import load_checkpoint
from ovseg.utils.config_errors import building
from ovseg.utils.together import together
from ovseg.utils.writable import check_writable

__all__ = ["train_model"]


def train_model(config: Config, *, resume: bool | str = False, amp: bool = False) -> TrainRunner:
    """Train as configured.

    Args:
        config: Needs ``model``, ``train_dataloader``, ``train_cfg``, ``optim_wrapper`` and
            ``work_dir``.
        resume: True goes on from the newest checkpoint in ``work_dir`` (or from nothing); a path
            goes on from that one.
        amp: Train in mixed precision: float16 on a GPU; without one bfloat16, for configs with a
            `GuardedOptimWrapper`.

    Returns:
        The runner, with the trained model.

    Raises:
        ConfigError: The config trains nothing, describes what cannot be built, or asks for mixed
            precision without a GPU.
        WeightsNotFoundError: The checkpoint to go on from is missing.
        SaveError: ``work_dir`` cannot be written to.
    """
    if not config.get("train_cfg") or not config.get("train_dataloader"):
        raise ConfigError(
            f"Config {config.filename} trains nothing (it has no train_cfg and train_dataloader); "
            "score it with tools/test.py."
        )
    if amp:
        on_gpu = torch.cuda.is_available()
        if config.optim_wrapper.get("type") == "GuardedOptimWrapper":
            config.optim_wrapper["precision"] = "fp16" if on_gpu else "bf16"
        elif on_gpu:
            config.optim_wrapper["type"] = "AmpOptimWrapper"
            config.optim_wrapper.setdefault("loss_scale", "dynamic")
        else:
            raise ConfigError("Mixed precision (--amp) needs a GPU; leave it out on this machine.")
    if isinstance(resume, (str, Path)):
        load_checkpoint(resume)  # missing or unsafe: said before anything is built
        config.load_from, config.resume = str(resume), True
    elif resume:
        config.resume = True
    prepare_launch(config)
    with together():
        check_writable(config.work_dir)
    with building("The model or what trains it", config.to_dict()):
        runner = TrainRunner.from_cfg(config)
        _ = runner.train_loop  # with its data; is built when it is asked for
    runner.train()
    return runner
