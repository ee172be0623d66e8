"""Checkpoints of which one is always whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook

from ovseg.engine.storage import remove_drafts, write_whole
from ovseg.registry import HOOKS

__all__ = ["WholeCheckpointHook"]


class _Later:
    """A file backend that removes only when it is told to."""

    def __init__(self, backend: Any) -> None:
        self._backend, self.outdated = backend, []

    def remove(self, path: str) -> None:
        self.outdated.append(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """MMEngine's hook, which removes old checkpoints first and then writes the new one, turned.

    Where a checkpoint cannot be written, the ones before are all there and ``last_checkpoint``
    names the newest of them.

    Args: as for `mmengine.hooks.CheckpointHook`; ``out_dir`` has to be a local folder.
    """

    def before_train(self, runner: Any) -> None:
        """Find the folder, and clear what an interrupted run left there."""
        super().before_train(runner)
        self.file_backend = _Later(self.file_backend)
        if is_main_process():
            remove_drafts(Path(self.out_dir))

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict) -> None:
        hub, name = runner.message_hub, self.filename_tmpl.format(step)
        previous, path = self.last_ckpt, str(Path(self.out_dir) / name)
        outdated: list[int] = []
        if self.max_keep_ckpts > 0:
            kept = [number for number in self.keep_ckpt_ids if number != step] + [step]
            outdated, kept = kept[: -self.max_keep_ckpts], kept[-self.max_keep_ckpts :]
            hub.update_info("keep_ckpt_ids", kept)
        hub.update_info("last_ckpt", path)
        self.last_ckpt = path
        try:
            runner.save_checkpoint(
                self.out_dir,
                name,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
            )
            if is_main_process():
                write_whole(Path(runner.work_dir) / "last_checkpoint", path.encode())
        except BaseException:
            self.last_ckpt = previous
            hub.update_info("last_ckpt", previous)
            raise
        if self.max_keep_ckpts > 0:
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(kept)
        for number in outdated:
            self.file_backend.remove(str(Path(self.out_dir) / self.filename_tmpl.format(number)))
        self._remove_outdated()

    def _save_best_checkpoint(self, runner: Any, metrics: dict) -> None:
        super()._save_best_checkpoint(runner, metrics)
        self._remove_outdated()

    def _remove_outdated(self) -> None:
        """Remove what was put off, unless it has been written anew."""
        paths, self.file_backend.outdated = self.file_backend.outdated, []
        if not is_main_process():
            return
        current = {self.last_ckpt, getattr(self, "best_ckpt_path", None)}
        current.update(getattr(self, "best_ckpt_path_dict", {}).values())
        for path in paths:
            if path not in current:
                Path(path).unlink(missing_ok=True)
