"""Training iterations that can be repeated exactly, and that stop when something goes wrong."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size
from mmengine.model import is_model_wrapper
from mmengine.runner.loops import IterBasedTrainLoop, _InfiniteDataloaderIterator
from torch import nn

from ovseg.datasets.draws import random_state_of
from ovseg.engine.optim_wrapper import NotFiniteError
from ovseg.errors import TrainingError
from ovseg.registry import LOOPS

__all__ = ["EndlessTrainLoop"]


@LOOPS.register_module()
class EndlessTrainLoop(IterBasedTrainLoop):
    """Iterations over the endless sequence of an `EndlessSampler`.

    On top of MMEngine's loop:

    - it goes on with the next sample in line, without reading those that were seen before;
    - random numbers of an iteration are a function of the run's seed, the iteration and the
      process, and those of the loss's points (modules with ``seed_points``) of each sample's own
      seed, so that nothing random has to be saved;
    - a loss or gradient that is no number ends training before anything is changed by it, and the
      image it comes from is named.

    Args: as for `mmengine.runner.IterBasedTrainLoop`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._origin = (0, 0)
        self._moved = False

    # -- where in the sequence -----------------------------------------------------------------

    @property
    def batch(self) -> int:
        """Samples of an iteration, of all processes."""
        return (self.dataloader.batch_size or 1) * get_world_size()

    def position(self, iteration: int) -> int:
        """Place in the sequence of the first sample of an iteration."""
        begun, place = self._origin
        return place + (iteration - begun) * self.batch

    def begin_at(self, iteration: int, position: int | None = None) -> None:
        """Go on at an iteration, and at a place of the sequence, by default the usual one."""
        self._iter = iteration
        self._origin = (iteration, iteration * self.batch if position is None else position)
        sampler = self.dataloader.sampler
        if hasattr(sampler, "start_at"):
            sampler.start_at(self._origin[1])
            del self.dataloader_iterator  # ends its workers
            self.dataloader_iterator = _InfiniteDataloaderIterator(self.dataloader)
            self._moved = True

    def run(self) -> nn.Module:
        """Launch training."""
        if hasattr(self._bare_model, "train_words"):
            # Words are embedded now, so that a text tower of random weights, which is built at its
            # first use, is the same one wherever a run goes on.
            with random_state_of(self.runner.seed):
                self._bare_model.train_words()
        if self._iter == 0 or not self._moved:
            return super().run()  # other samplers can only be advanced by reading
        runner = self.runner
        runner.call_hook("before_train")
        runner.call_hook("before_train_epoch")
        while self._iter < self._max_iters and not self.stop_training:
            runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            due = self._iter % self.val_interval == 0 or self._iter == self._max_iters
            if runner.val_loop is not None and self._iter >= self.val_begin and due:
                runner.val_loop.run()
        runner.call_hook("after_train_epoch")
        runner.call_hook("after_train")
        return runner.model

    # -- one iteration -------------------------------------------------------------------------

    def run_iter(self, data_batch: dict) -> None:
        """One iteration; raises `TrainingError` naming the images where it fails."""
        self._seed(data_batch)
        runner, about = self.runner, dict(batch_idx=self._iter, data_batch=data_batch)
        runner.call_hook("before_train_iter", **about)
        try:
            losses = runner.model.train_step(data_batch, optim_wrapper=runner.optim_wrapper)
        except NotFiniteError as error:
            raise TrainingError(self._explain(error, data_batch)) from error
        runner.call_hook("after_train_iter", **about, outputs=_mean_of_processes(losses))
        self._iter += 1

    def _seed(self, data_batch: dict) -> None:
        words = np.random.SeedSequence((self.runner.seed, 2, self._iter, get_rank()))
        words = words.generate_state(4)
        random.seed(int(words[0]))
        np.random.seed(words[1])
        torch.manual_seed(int(words[2]) << 32 | int(words[3]))
        seeds = _sample_seeds(data_batch)
        for module in self._bare_model.modules():
            if hasattr(module, "seed_points"):
                module.seed_points(seeds)

    @property
    def _bare_model(self) -> nn.Module:
        model = self.runner.model
        return model.module if is_model_wrapper(model) else model

    # -- what went wrong -----------------------------------------------------------------------

    def _explain(self, error: NotFiniteError, data_batch: dict) -> str:
        """One sentence: what happened, in which image, and what to do."""
        found: list[list[str]] = all_gather_object(self._find_offenders(error, data_batch))
        names = [name for part in found for name in part]
        where = "no single one of its images gives such a value"
        if names:
            where = f"it comes from {', '.join(names[:8])}"
            where += f" and {len(names) - 8} others" if len(names) > 8 else ""
        last = self.runner.message_hub.runtime_info.get("last_ckpt")
        kept = f"the last checkpoint is {last}" if last else "no checkpoint was written yet"
        return (
            f"Training stopped at iteration {self._iter + 1} because the {error.what} is not a "
            f"finite number; {where}. Nothing was changed by it and {kept}: check the image and "
            "its masks, or go on from there with a lower learning rate or in full precision."
        )

    def _find_offenders(self, error: NotFiniteError, data_batch: dict) -> list[str]:
        """Images of this process that give such a value all by themselves."""
        names = []
        parameters = [p for p in self._bare_model.parameters() if p.requires_grad]
        for index, sample in enumerate(data_batch["data_samples"]):
            alone = {
                key: value[index : index + 1] if isinstance(value, (list, torch.Tensor)) else value
                for key, value in data_batch.items()
            }
            self._seed(alone)
            with torch.set_grad_enabled(error.what == "gradient"):
                with self.runner.optim_wrapper.autocast():
                    data = self._bare_model.data_preprocessor(alone, True)
                    losses = self._bare_model(**data, mode="loss")
                loss, _ = self._bare_model.parse_losses(losses)
                finite = bool(torch.isfinite(loss))
                if finite and error.what == "gradient":
                    # Not `backward`, which would wait for the gradients of other processes.
                    grads = torch.autograd.grad(loss, parameters, allow_unused=True)
                    finite = all(bool(torch.isfinite(g).all()) for g in grads if g is not None)
            if not finite:
                names.append(str(sample.metainfo.get("img_path", f"sample {index}")))
        return names


def _mean_of_processes(losses: dict) -> dict:
    """Losses to be logged: those of the common batch."""
    if get_world_size() == 1:
        return losses
    values = torch.stack([torch.as_tensor(value).detach().float() for value in losses.values()])
    all_reduce(values, "mean")
    return dict(zip(losses, values, strict=True))


def _sample_seeds(data_batch: dict) -> list[int] | None:
    """Seeds of the samples of a batch; None where they have none."""
    samples = data_batch.get("data_samples") or []
    seeds = [sample.metainfo.get("sample_seed") for sample in samples]
    return None if not seeds or None in seeds else seeds
