"""A runner whose checkpoints hold what was trained and name the rest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import master_only
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.checkpoint import _load_checkpoint
from mmengine.utils import apply_to
from torch import nn

from ovseg.engine.storage import save_whole
from ovseg.registry import RUNNERS
from ovseg.utils.checkpoints import check_state_dict
from ovseg.utils.frozen import (
    check_frozen,
    frozen_fingerprints,
    frozen_prefixes,
    trained_state,
)
from ovseg.utils.own_log import OwnLog
from ovseg.version import __version__

__all__ = ["TrainRunner"]


@RUNNERS.register_module()
class TrainRunner(OwnLog, Runner):
    """MMEngine's runner, with other checkpoints.

    They hold the state of what was trained, of the optimizer and of the schedule, and the position
    in the sequence of samples; frozen parts are named by their fingerprints, which are compared
    when a checkpoint is loaded. They are written whole or not at all.
    """

    @property
    def bare_model(self) -> nn.Module:
        """The model without the wrapper of several processes."""
        return self.model.module if is_model_wrapper(self.model) else self.model

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """As in MMEngine, which takes for granted that several processes have a GPU each."""
        on_cpu = get_device() == "cpu"
        if not (self.distributed and on_cpu) or model_wrapper_cfg or is_model_wrapper(model):
            return super().wrap_model(model_wrapper_cfg, model)
        return MMDistributedDataParallel(
            module=model.to("cpu"),
            broadcast_buffers=False,
            find_unused_parameters=self.cfg.get("find_unused_parameters", False),
        )

    @master_only
    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict | None = None,
        by_epoch: bool = True,
        backend_args: dict | None = None,
    ) -> None:
        """Save what was trained, see the class; arguments as in MMEngine, folders must be local.

        Raises:
            SaveError: The file cannot be written; older ones are whole.
        """
        meta = dict(meta or {})
        meta.setdefault("epoch", self.epoch + 1 if by_epoch else self.epoch)
        meta.setdefault("iter", self.iter if by_epoch else self.iter + 1)
        model = self.bare_model
        meta.update(
            cfg=self.cfg.pretty_text,
            seed=self.seed,
            experiment_name=self.experiment_name,
            ovseg_version=__version__,
            torch_version=str(torch.__version__),
            frozen=frozen_fingerprints(model),
        )
        if hasattr(self.train_loop, "position"):
            meta["position"] = self.train_loop.position(meta["iter"])
        if hasattr(self.train_dataloader.dataset, "metainfo"):
            meta["dataset_meta"] = self.train_dataloader.dataset.metainfo
        checkpoint: dict[str, Any] = dict(
            meta=meta,
            state_dict=_on_cpu(trained_state(model)),
            message_hub=_on_cpu(self.message_hub.state_dict()),
        )
        if save_optimizer:
            checkpoint["optimizer"] = _on_cpu(self.optim_wrapper.state_dict())
        if save_param_scheduler and self.param_schedulers is not None:
            checkpoint["param_schedulers"] = [s.state_dict() for s in self.param_schedulers]
        self.call_hook("before_save_checkpoint", checkpoint=checkpoint)
        save_whole(checkpoint, Path(os.path.join(out_dir, filename)))

    def load_checkpoint(
        self,
        filename: str,
        map_location: Any = "cpu",
        strict: bool = False,
        revise_keys: list | None = None,
    ) -> dict:
        """Load what was trained into the model.

        A checkpoint that names its frozen parts has to fit the model in full, others as ``strict``
        says.

        Raises:
            CheckpointMismatchError: It belongs to another model, or to other frozen parts.
        """
        checkpoint = _load_checkpoint(filename, map_location=map_location)
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        if self._resume and "raw_state_dict" in checkpoint:
            checkpoint["state_dict"] = checkpoint["raw_state_dict"]
        state = checkpoint.get("state_dict", checkpoint.get("model", checkpoint))
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
        model = self.bare_model
        if hasattr(model, "adapt_state_dict"):  # checkpoints of authors, under other names
            state = model.adapt_state_dict(state, str(filename))
        # How far schedules have come is what goes on; what they are, the config says.
        for progress in checkpoint.get("param_schedulers") or ():
            for key in set(progress) - {"last_step", "_global_step", "_last_value"}:
                del progress[key]
        self._loaded_meta = checkpoint.get("meta") or {}
        recorded = self._loaded_meta.get("frozen")
        if recorded is not None:
            check_frozen(model, recorded, str(filename))
        if strict or recorded is not None:
            check_state_dict(model, state, str(filename), frozen_prefixes(model))
        unfit = model.load_state_dict(state, strict=False)
        left = [n for n in unfit.missing_keys if not n.startswith(frozen_prefixes(model))]
        if left or unfit.unexpected_keys:
            self.logger.warning(
                f"Checkpoint {filename}: {len(left)} tensors of the model are not in it, "
                f"{len(unfit.unexpected_keys)} of it are unknown to the model."
            )
        self._has_loaded = True
        self.logger.info(f"Loaded {filename}")
        return checkpoint

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Go on from a checkpoint: model, optimizer, schedule, and the next sample in line."""
        self._resume = True
        super().resume(filename, *args, **kwargs)
        for schedule in self.param_schedulers or ():
            # The end may have been that of a shorter run: then its last step was not counted.
            if schedule.begin <= schedule._global_step < schedule.end:
                schedule.last_step = schedule._global_step - schedule.begin
        if hasattr(self.train_loop, "begin_at"):
            self.train_loop.begin_at(self._loaded_meta["iter"], self._loaded_meta.get("position"))

    def _log_env(self, env_cfg: dict) -> None:
        """One line; the config is written to the work directory."""
        self.logger.info(
            f"torch {torch.__version__} on {get_device()}, {self.world_size} process(es), "
            f"seed {self.seed}"
        )

    def get_hooks_info(self) -> str:
        """Short: the hooks are those of the config."""
        return ", ".join(type(hook).__name__ for hook in self.hooks)


def _on_cpu(state: dict) -> dict:
    return apply_to(state, lambda value: hasattr(value, "cpu"), lambda value: value.cpu())
