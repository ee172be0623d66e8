"""What the recipes of the nano models share: the loop, checkpoints, the log and the record."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from ovseg.utils.bfloat16 import computes_bfloat16

#: Arguments that may differ when a run is taken up again: they do not change what is learned.
_FREE = {"work_dir", "workers", "device", "log_every", "eval_every", "eval_scenes", "final_scenes"}


class Run(ABC):
    """Everything that has state: model, optimizer, how far the run has come.

    A recipe says what is trained (`build`), on what (`batches`), towards what (`loss`), and what
    is kept of it (`state`, `weights`). Drawing the batches and all that is random must depend on
    the number of the step alone: then a run that was cut ends with the same weights.
    """

    #: The script, and the package whose classes are trained, as the record names them.
    recipe: ClassVar[str]
    package: ClassVar[str]
    #: Decimals of the losses in the log.
    decimals: ClassVar[int] = 3

    optimizer: torch.optim.Optimizer

    def __init__(self, args: argparse.Namespace) -> None:
        if args.amp is None:
            args.amp = bool(computes_bfloat16(args.device))
        self.args = args
        torch.manual_seed(args.seed)
        self.build()
        self.step, self.seconds = 0, 0.0
        self.checkpoint = args.work_dir / "last.pt"
        if self.checkpoint.exists():
            self._resume()

    @abstractmethod
    def build(self) -> None:
        """Set the model, with random weights, and ``optimizer``."""

    @abstractmethod
    def batches(self) -> Iterable:
        """Batches from where the run stands to its end."""

    @abstractmethod
    def loss(self, batch: Any, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """The terms whose sum is minimised, for one batch."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of the model, by name."""

    @abstractmethod
    def load_state(self, state: dict[str, Any]) -> None:
        """Take the model up from what `state` gave."""

    @abstractmethod
    def weights(self) -> dict[str, torch.Tensor]:
        """What is shipped, by name."""

    @abstractmethod
    def scores(self) -> dict[str, Any]:
        """A look at held-out scenes while training."""

    def finals(self) -> dict[str, Any]:
        """What the record says of the finished model besides how it was made."""
        return {"held_out": self.scores()}

    def images_seen(self) -> int:
        """Pictures of the whole run."""
        return self.args.steps * self.args.batch

    def updated(self) -> dict[str, float]:
        """Called after each update; more numbers for the log."""
        return {}

    # -- the loop ------------------------------------------------------------------------------

    def learning_rate(self) -> float:
        """Linear warm-up, then one cosine down to a hundredth."""
        return self.args.lr * warm_cosine(self.step, self.args.warmup, self.args.steps)

    def train_step(self, batch: Any) -> dict[str, float]:
        """One update; the values of the terms before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        terms = self.loss(batch, np.random.default_rng(self.seeds()))
        total = sum(terms.values())
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss is not finite at step {self.step}: {terms}")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.clipped(), 1.0)
        self.optimizer.step()
        more = self.updated()
        self.step += 1
        return {**{name: term.item() for name, term in terms.items()}, **more}

    def seeds(self) -> list[int]:
        """Of what is drawn at this step."""
        return [3, self.step]

    @abstractmethod
    def clipped(self) -> Iterable[nn.Parameter]:
        """The parameters whose gradients are kept to a norm of 1."""

    def run(self) -> None:
        """Train from where the run stands to its end."""
        self.run_until(self.args.steps)
        self.finish()

    def run_until(self, end: int) -> None:
        """Train to a step, with losses in the log and checkpoints."""
        args = self.args
        recent: list[dict[str, float]] = []
        began = time.time() - self.seconds
        for batch in self.batches():
            recent.append(self.train_step(batch))
            self.seconds = time.time() - began
            last = self.step == end
            if self.step % args.log_every == 0 or last:
                means = {name: np.mean([terms[name] for terms in recent]) for name in recent[0]}
                recent = []
                told = " ".join(f"{name} {mean:.{self.decimals}f}" for name, mean in means.items())
                print(f"step {self.step}/{args.steps} {self.seconds:.0f} s  {told}", flush=True)
            if self.step % args.eval_every == 0 or last:
                self.save()
                print(f"  {json.dumps(self.scores())}", flush=True)

    def drawing(self, prefetch: int = 8) -> dict[str, Any]:
        """How a loader's processes draw."""
        workers = self.args.workers
        return {
            "num_workers": workers,
            "persistent_workers": workers > 0,
            "prefetch_factor": prefetch if workers else None,
        }

    # -- checkpoints ---------------------------------------------------------------------------

    @property
    def arguments(self) -> dict:
        """The arguments that decide what is learned."""
        return {k: v for k, v in vars(self.args).items() if k not in _FREE}

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.args.device, weights_only=True)
        began = state["arguments"]
        other = {k: v for k, v in began.items() if self.arguments.get(k) != v}
        if other:
            raise SystemExit(
                f"{self.checkpoint} is of a run with {other}: repeat these arguments to go on, "
                "or choose another --work-dir"
            )
        self.load_state(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        print(f"resumed at step {self.step}")

    def save(self) -> None:
        """Write the checkpoint; a cut while writing leaves the previous one whole."""
        part = self.checkpoint.with_suffix(".part")
        torch.save(
            {
                **self.state(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "arguments": self.arguments,
            },
            part,
        )
        part.replace(self.checkpoint)

    def finish(self) -> None:
        """Write the weights in half precision and the record of how they were made."""
        args = self.args
        weights = {k: v.half().contiguous().cpu() for k, v in self.weights().items()}
        path = args.work_dir / f"{args.model}.safetensors"
        save_file(weights, path)
        device, threads = torch.device(args.device).type, torch.get_num_threads()
        record = {
            "recipe": self.recipe,
            "arguments": {k: v for k, v in vars(args).items() if k != "work_dir"},
            "images": self.images_seen(),
            "parameters": sum(tensor.numel() for tensor in weights.values()),
            "seconds": round(self.seconds),
            "hardware": f"{device}, {threads} threads, {platform.machine()}",
            "versions": self._versions(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            **self.finals(),
        }
        record_path = path.with_suffix(".record.json")
        record_path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {path}")

    def _versions(self) -> dict[str, str]:
        """Of what draws the scenes and trains on them."""
        found = {"numpy": np.__version__, "opencv": cv2.__version__, "torch": torch.__version__}
        try:
            found[self.package] = version(self.package)
        except PackageNotFoundError:  # used from a checkout
            pass
        return found


def warm_cosine(step: int, warmup: int, steps: int) -> float:
    """A linear warm-up over ``warmup`` steps times one cosine from 1 to a hundredth."""
    warm = min(1.0, (step + 1) / warmup)
    progress = min(1.0, step / steps)
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def adamw(parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.AdamW:
    """AdamW that decays matrices only."""
    parameters = list(parameters)
    decayed = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}],
        lr=lr,
        betas=(0.9, 0.98),
    )


def parser_of(doc: str, name: str, model: str) -> argparse.ArgumentParser:
    """A command line with the arguments that every recipe has.

    Args:
        doc: the script's docstring; its first line describes the command.
        name: of the folder that is written to.
        model: a packaged description.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    add = parser.add_argument
    add("--work-dir", type=Path, default=Path("work_dirs") / name)
    add("--model", default=model, help="described in ovseg/assets/nano or ovseg/encoders")
    add("--seed", type=int, default=0, help="of the first weights and of what is drawn at random")
    add("--workers", type=int, default=1, help="processes that draw scenes")
    add("--device", default="cpu")
    add(
        "--amp",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="bfloat16; by default where the device is known to have units for it",
    )
    return parser


def train(recipe: type[Run], args: argparse.Namespace) -> None:
    """Run a recipe to its end, or until it is interrupted."""
    args.work_dir.mkdir(parents=True, exist_ok=True)
    try:
        recipe(args).run()
    except KeyboardInterrupt:
        raise SystemExit("interrupted: the same command goes on from the last checkpoint") from None
