"""Train the nano SAM from scratch on the masks of procedural scenes, without their classes.

    python tools/nano/train_sam.py --work-dir work_dirs/nano_sam

Interrupt it whenever you like; the same command goes on from the last checkpoint, to the same
weights. At the end it writes ``nano-sam-8.safetensors`` and a JSON record of the run, to be put
into ``ovseg/assets/nano``.

Every picture is embedded once and prompted several times, as in Kirillov et al., "Segment
Anything" (2023), section 3 and appendix A: first with a point, a box or a coarse mask (mostly with
a box and points), then again with the mask that came of it and a point where that mask is wrong.
Of the several masks for a first point or box only the best is taught; the single mask is taught at
every prompt.

Most steps see small pictures, where they are cheap; then the input grows to its full size, with
the position embeddings enlarged, and a shorter second part follows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
import time
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from sam_data import Counts, PromptedScenes
from sam_loss import best_of, grouping_loss, mask_loss, true_iou
from sam_model import NanoSAM, grown
from score_sam import score, seconds_per_scene
from torch.nn import functional as F
from torch.utils.data import DataLoader

from ovseg.encoders.sam_build import sam_architecture

#: Arguments that may differ when a run is taken up again: they do not change what is learned.
_FREE = {"work_dir", "workers", "device", "log_every", "eval_every", "eval_scenes"}

#: What belongs to a prompt, of all that a picture comes with.
_PROMPT = ("masks", "points", "labels", "boxes", "coarse")

#: What a prompt that begins with a mask shows besides it, and how often.
_COMPANY = {("points", "boxes"): 0.5, ("boxes",): 0.2, ("points",): 0.15, (): 0.15}


class SAMTrainer:
    """Everything that has state: model, optimizer, how far the run has come."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        torch.manual_seed(args.seed)
        self.counts = Counts(*args.prompts)
        _, full = sam_architecture(args.model)
        self._build(args.small_size if args.small_steps else full.image_size)
        self.step, self.seconds = 0, 0.0
        self.checkpoint = args.work_dir / "last.pt"
        if self.checkpoint.exists():
            self._resume()

    def _build(self, size: int) -> None:
        """A model for pictures of some size, and its optimizer."""
        _, full = sam_architecture(self.args.model)
        sizes = replace(full, image_size=size)
        self.model = NanoSAM(sizes, torch.device(self.args.device), self.args.amp)
        self.sam = self.model.sam
        parameters = [p for p in self.sam.parameters() if p.requires_grad]
        decayed = [p for p in parameters if p.ndim > 1]
        others = [p for p in parameters if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}],
            lr=self.args.lr,
            betas=(0.9, 0.98),
        )

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
        if state["size"] != self.model.encoder.image_size:
            self._build(state["size"])
        self.sam.load_state_dict(state["sam"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        print(f"resumed at step {self.step}")

    def save(self) -> None:
        """Write the checkpoint; a cut while writing leaves the previous one whole."""
        part = self.checkpoint.with_suffix(".part")
        torch.save(
            {
                "sam": self.sam.state_dict(),
                "size": self.model.encoder.image_size,
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "arguments": self.arguments,
            },
            part,
        )
        part.replace(self.checkpoint)

    def learning_rate(self) -> float:
        """In each of the two parts a linear warm-up and a cosine; the second is half as high."""
        args, step = self.args, self.step
        if step < args.small_steps:
            began, ends, peak = 0, args.small_steps, args.lr
        else:
            began, ends = args.small_steps, args.steps
            peak = args.lr / 2 if args.small_steps else args.lr
        warm = min(1.0, (step - began + 1) / args.warmup)
        progress = min(1.0, (step - began) / (ends - began))
        return peak * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    def loss(
        self, batch: dict[str, torch.Tensor], rng: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        """All terms for one batch.

        Returns:
            ``single``: focal and dice loss of the single mask, over all prompts of both rounds;
            ``several``: of the best of the several masks, for first prompts by point or box;
            ``quality``: squared error of the predicted IoU, of all these masks;
            ``grouping``, in the second part: that the last block's attention keeps to a mask.
        """
        batch = {k: v.to(self.args.device) for k, v in batch.items()}
        embedding, attention = self.model.encode(batch["image"], batch["valid"])
        company = list(_COMPANY)[rng.choice(len(_COMPANY), p=list(_COMPANY.values()))]
        places = torch.Generator().manual_seed(int(rng.integers(2**31)))
        counts, answers = self.counts, []
        for kind, start, count in (
            ("point", 0, counts.point),
            ("box", counts.point, counts.box),
            ("mask", counts.point + counts.box, counts.mask),
        ):
            if count == 0:
                continue
            shown = {"point": ("points",), "box": ("boxes",), "mask": ("masks", *company)}[kind]
            chosen = {k: batch[k][:, start : start + count] for k in _PROMPT}
            logits, quality, truth = self._ask(embedding, chosen, shown, only_first=kind == "point")
            answers.append((logits, quality, truth, kind != "mask"))
            # Half of the prompts are asked again with the answer and a point where it is wrong.
            again = (count + 1) // 2
            guess = self._take(logits, quality, kind == "point").unflatten(0, (-1, count))
            chosen = {k: v[:, :again] for k, v in chosen.items()}
            self._correct(chosen, guess[:, :again].detach(), kind, places)
            shown = tuple(dict.fromkeys(("masks", "points", *shown)))
            answers.append((*self._ask(embedding, chosen, shown), False))
        terms = _terms(answers)
        if self.step >= self.args.small_steps:
            device = torch.device(self.args.device).type
            with torch.autocast(device, torch.bfloat16, enabled=self.args.amp):
                weights = attention.rows(slice(None)).float().mean(1)
            found = grouping_loss(weights, attention.grid, batch["masks"])
            terms["grouping"] = self.args.grouping * found
        return terms

    def _ask(self, embedding, chosen, shown, only_first=False):
        """Answers (N, 1 + M, ...) to the prompts of all pictures, and the truth (N, S, S)."""
        count = chosen["masks"].shape[1]
        embedding = embedding[:, None].expand(-1, count, -1, -1, -1).flatten(0, 1)
        flat = {k: v.flatten(0, 1) for k, v in chosen.items()}
        points = (flat["points"], flat["labels"])
        if only_first:
            points = (points[0][:, :1], points[1][:, :1])
        logits, quality = self.model.decode(
            embedding,
            points=points if "points" in shown else None,
            boxes=flat["boxes"] if "boxes" in shown else None,
            masks=flat["coarse"] if "masks" in shown else None,
        )
        return logits, quality, flat["masks"].float()

    @staticmethod
    def _take(logits, quality, several):
        """The mask (N, h, w) a user would take: the single one, or the one believed best."""
        if not several:
            return logits[:, 0]
        best = 1 + quality[:, 1:].argmax(1)
        return logits[torch.arange(len(logits), device=logits.device), best]

    @staticmethod
    def _correct(chosen, guess, kind, places):
        """Put the last answer, and a point where it is wrong, into the prompts."""
        side = guess.shape[-1]
        cell = chosen["masks"].shape[-1] // side
        truth = F.avg_pool2d(chosen["masks"].float(), cell) > 0.5
        # Where nothing is wrong, the point is any of the object's.
        weight = ((guess > 0) ^ truth).float() + 1e-6 * truth + 1e-12
        weight = weight.flatten(0, 1).flatten(1).cpu()
        place = torch.multinomial(weight, 1, generator=places)[:, 0].to(truth.device)
        label = truth.flatten(0, 1).flatten(1).gather(1, place[:, None]).long()
        point = torch.stack([place % side, place // side], -1)[:, None] * cell + (cell - 1) / 2
        point, label = (t.unflatten(0, truth.shape[:2]) for t in (point, label))
        earlier = {"point": 1, "box": 0, "mask": chosen["points"].shape[2]}[kind]
        chosen["points"] = torch.cat([chosen["points"][:, :, :earlier], point], 2)
        chosen["labels"] = torch.cat([chosen["labels"][:, :, :earlier], label], 2)
        chosen["coarse"] = guess[:, :, None].clamp(-32, 32)

    def train_step(self, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        """One update; the values of the terms before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        terms = self.loss(batch, np.random.default_rng([3, self.step]))
        total = sum(terms.values())
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss is not finite at step {self.step}: {terms}")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.sam.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return {name: term.item() for name, term in terms.items()}

    def run(self) -> None:
        """Train from where the run stands to its end."""
        args = self.args
        if self.step < args.small_steps:
            self._run_until(args.small_steps)
        _, full = sam_architecture(args.model)
        if self.model.encoder.image_size != full.image_size:
            state = self.sam.state_dict()
            self._build(full.image_size)
            self.sam.load_state_dict(grown(state, self.sam))
        self._run_until(args.steps)
        self.finish()

    def _run_until(self, end: int) -> None:
        """Train on pictures of the size that the model has now."""
        args = self.args
        data = PromptedScenes(
            end * args.batch,
            self.model.encoder.image_size,
            self.model.mask_side,
            self.counts,
            start=self.step * args.batch,
        )
        loader = DataLoader(
            data,
            args.batch,
            num_workers=args.workers,
            persistent_workers=args.workers > 0,
            prefetch_factor=8 if args.workers else None,
        )
        recent: list[dict[str, float]] = []
        began = time.time() - self.seconds
        for batch in loader:
            recent.append(self.train_step(batch))
            self.seconds = time.time() - began
            last = self.step == end
            if self.step % args.log_every == 0 or last:
                means = {name: np.mean([terms[name] for terms in recent]) for name in recent[0]}
                recent = []
                told = " ".join(f"{name} {mean:.4f}" for name, mean in means.items())
                print(f"step {self.step}/{args.steps} {self.seconds:.0f} s  {told}", flush=True)
            if self.step % args.eval_every == 0 or last:
                print(f"  {json.dumps(self.scores('check'))}", flush=True)
                self.save()

    def scores(self, split: str) -> dict[str, float]:
        """The benchmark's measure on scenes of a split."""
        return score(self.model.encoder, split, self.args.eval_scenes)

    def finish(self) -> None:
        """Write the weights in half precision and the record of how they were made."""
        weights = {k: v.half().contiguous().cpu() for k, v in self.sam.state_dict().items()}
        path = self.args.work_dir / f"{self.args.model}.safetensors"
        save_file(weights, path)
        device, threads = torch.device(self.args.device).type, torch.get_num_threads()
        record = {
            "recipe": "tools/nano/train_sam.py",
            "arguments": {k: v for k, v in vars(self.args).items() if k != "work_dir"},
            "images": self.args.steps * self.args.batch,
            "parameters": sum(tensor.numel() for tensor in weights.values()),
            "seconds": round(self.seconds),
            "hardware": f"{device}, {threads} threads, {platform.machine()}",
            "versions": _versions(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "held_out_iou": self.scores("check"),
            "seconds_per_scene_8_prompts": round(seconds_per_scene(self.model.encoder), 4),
        }
        record_path = path.with_suffix(".record.json")
        record_path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {path}")


def _terms(answers: list[tuple]) -> dict[str, torch.Tensor]:
    """The losses of all answers (logits, quality, truth, whether the several masks count).

    A pixel of a mask is taught what share of it the object covers, so that enlarged masks have
    their borders between pixels.
    """
    single, several, quality = [], [], []
    for logits, belief, truth, ambiguous in answers:
        truth = F.adaptive_avg_pool2d(truth, logits.shape[-2:])
        errors = (belief - true_iou(logits, truth[:, None])) ** 2
        quality.append(errors if ambiguous else errors[:, :1])
        single.append(mask_loss(logits[:, 0], truth))
        if ambiguous:
            best = 1 + best_of(logits[:, 1:, ::2, ::2], truth[:, ::2, ::2])
            best = logits[torch.arange(len(logits), device=logits.device), best]
            several.append(mask_loss(best, truth))
    return {
        "single": torch.cat(single).mean(),
        "several": torch.cat(several).mean() if several else logits.new_zeros(()),
        "quality": torch.cat([e.flatten() for e in quality]).mean(),
    }


def _versions() -> dict[str, str]:
    """Of what draws the scenes and trains on them."""
    found = {"numpy": np.__version__, "opencv": cv2.__version__, "torch": torch.__version__}
    try:
        found["segment_anything"] = version("segment_anything")
    except PackageNotFoundError:  # used from a checkout
        pass
    return found


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line; the defaults are the recipe of the shipped weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/nano_sam"))
    parser.add_argument("--model", default="nano-sam-8", help="see ovseg/encoders/sam_build.py")
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--small-steps", type=int, default=3600, help="of them on small pictures")
    parser.add_argument("--small-size", type=int, default=128, help="side of these in pixels")
    parser.add_argument(
        "--grouping", type=float, default=0.1, help="weight of that loss, in the second part"
    )
    parser.add_argument("--batch", type=int, default=12, help="pictures")
    parser.add_argument(
        "--prompts",
        type=int,
        nargs=3,
        default=(2, 2, 1),
        metavar=("POINT", "BOX", "MASK"),
        help="prompts of a picture that begin with each",
    )
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--warmup", type=int, default=150, help="steps")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw scenes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--amp", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--log-every", type=int, default=20, help="steps")
    parser.add_argument("--eval-every", type=int, default=100, help="steps; saves as well")
    parser.add_argument("--eval-scenes", type=int, default=16)
    args = parser.parse_args(argv)
    args.prompts = list(args.prompts)
    if not 0 <= args.small_steps < args.steps:
        parser.error("--small-steps must be less than --steps: the last ones see full size")
    return args


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    args = parse_args(argv)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    try:
        SAMTrainer(args).run()
    except KeyboardInterrupt:
        raise SystemExit("interrupted: the same command goes on from the last checkpoint") from None


if __name__ == "__main__":
    main()
