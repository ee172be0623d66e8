"""Train the nano DINO from scratch by self-distillation on procedural scenes.

    python tools/nano/train_dino.py --work-dir work_dirs/nano_dino

Interrupt it whenever you like; the same command goes on from the last checkpoint, to the same
weights. At the end it writes ``nano-dino-4.safetensors`` (the teacher) and a JSON record of the
run, to be put into ``ovseg/assets/nano``.

What is learned from: crops of pictures, and where in the picture they lie. A student must say of
each crop what a slowly following teacher says of another crop of the picture: with its class token
(DINO), with the patches that were hidden from it (iBOT), and with the patches that both crops show.
No caption, class or mask is ever read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
import timm
import torch
from dino_data import SceneViews, Views, block_masks, collate
from dino_loss import cross_entropy, koleo, patch_centers, sample_tokens, sinkhorn, smoothed
from dino_model import Network, follow, teacher_of
from safetensors.torch import save_file
from score_dino import check, scores, table
from torch.utils.data import DataLoader

#: Arguments that may differ when a run is taken up again: they do not change what is learned.
_FREE = {"work_dir", "workers", "device", "log_every", "eval_every", "eval_scenes", "final_scenes"}


class DinoTrainer:
    """Everything that has state: student, teacher, optimizer, how far the run has come."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        torch.manual_seed(args.seed)
        self.student = Network(args.model, (args.cls_prototypes, args.prototypes)).to(args.device)
        self.teacher = teacher_of(self.student)
        decayed = [p for p in self.student.parameters() if p.ndim > 1]
        others = [p for p in self.student.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}],
            lr=args.lr,
            betas=(0.9, 0.98),
        )
        self.step, self.seconds = 0, 0.0
        self.checkpoint = args.work_dir / "last.pt"
        if self.checkpoint.exists():
            self._resume()

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
        self.student.load_state_dict(state["student"])
        self.teacher.load_state_dict(state["teacher"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        print(f"resumed at step {self.step}")

    def save(self) -> None:
        """Write the checkpoint; a cut while writing leaves the previous one whole."""
        part = self.checkpoint.with_suffix(".part")
        torch.save(
            {
                "student": self.student.state_dict(),
                "teacher": self.teacher.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "arguments": self.arguments,
            },
            part,
        )
        part.replace(self.checkpoint)

    def learning_rate(self) -> float:
        """Linear warm-up, then one cosine down to a hundredth."""
        warm = min(1.0, (self.step + 1) / self.args.warmup)
        progress = min(1.0, self.step / self.args.steps)
        return self.args.lr * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    def momentum(self) -> float:
        """How much of the teacher stays: from ``--momentum`` to 1, by a cosine."""
        progress = self.step / self.args.steps
        return 1 - (1 - self.args.momentum) * 0.5 * (1 + math.cos(math.pi * progress))

    def loss(self, views: Views, rng: np.random.Generator) -> tuple[dict, dict]:
        """All terms for one batch, of equal weight, and signs of collapse."""
        args = self.args
        views = Views(*(x.to(args.device) for x in (views.globals, views.locals, views.boxes)))
        images = views.globals.flatten(0, 1)  # picture by picture: its two views
        boxes = views.boxes[:, :2].flatten(0, 1)
        side = images.shape[-1] // self.student.dino.patch_size
        mask = block_masks(len(images), side, rng).to(args.device)
        device = torch.device(args.device).type
        with torch.autocast(device, torch.bfloat16, enabled=args.amp):
            with torch.no_grad():
                told = self.teacher(images).float()
            said = self.student(images, mask)
            local = self.student(views.locals.flatten(0, 1)) if views.locals.shape[1] else None
        other = torch.arange(len(images), device=images.device) ^ 1

        # Class tokens: each view against the other one, local views against both.
        with torch.no_grad():
            targets = sinkhorn(self.teacher.cls_head(told[:, 0]), args.temperature)
        student = [self.student.cls_head(said[:, 0].float())]
        wanted = [targets[other]]
        if local is not None:
            count = views.locals.shape[1]
            student.append(self.student.cls_head(local[:, 0].float()))
            wanted.append(targets.unflatten(0, (-1, 2)).mean(1).repeat_interleave(count, 0))
        terms = {"cls": cross_entropy(torch.cat(student), torch.cat(wanted))}
        # Spread what the student says over the sphere: class tokens, and patches of which one is
        # taken from each picture, since those of one picture may well be alike.
        chosen = [0, *rng.integers(1, said.shape[1], args.koleo_patches)]
        spread = [koleo(said[view::2, place]) for place in chosen for view in (0, 1)]
        terms["koleo"] = args.koleo * sum(spread) / len(spread)

        # Patches: hidden ones against what the teacher saw there, others against the other view.
        patches = told[:, 1:]
        if args.smooth:
            patches = smoothed(patches, args.smooth)
        across, inside = sample_tokens(patches[other], boxes[other], patch_centers(boxes, side))
        parts = {
            "hidden": (said[:, 1:][mask], patches[mask]),
            "across": (said[:, 1:][inside & ~mask], across[inside & ~mask]),
        }
        if local is not None:
            small = views.locals.shape[-1] // self.student.dino.patch_size
            places = patch_centers(views.boxes[:, 2:].flatten(0, 1), small)
            first = torch.arange(0, len(images), 2, device=images.device)
            first = first.repeat_interleave(count)
            near, inside = sample_tokens(patches[first], boxes[first], places)
            parts["local"] = (local[:, 1:][inside], near[inside])
        with torch.autocast(device, torch.bfloat16, enabled=args.amp):
            logits = self.student.patch_head(torch.cat([s for s, _ in parts.values()]))
            with torch.no_grad():
                targets = self.teacher.patch_head(torch.cat([t for _, t in parts.values()]))
        targets = sinkhorn(targets, args.temperature)
        sizes = [len(s) for s, _ in parts.values()]
        for name, a, b in zip(parts, logits.split(sizes), targets.split(sizes), strict=True):
            terms[name] = cross_entropy(a, b)
        return terms, self._signs(told, targets)

    @torch.no_grad()
    def _signs(self, tokens: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """What collapse shows in: few prototypes used, soft targets, patches alike, a low rank."""
        x = tokens[:, 1:].flatten(0, 1)[::17]
        x = torch.nn.functional.normalize(x, dim=-1)
        used = targets.argmax(1).unique().numel() / targets.shape[1]
        entropy = -(targets * targets.clamp(min=1e-9).log()).sum(1).mean().item()
        sizes = torch.linalg.svdvals(x - x.mean(0)).clamp(min=1e-9)
        sizes = sizes / sizes.sum()
        rank = (-(sizes * sizes.log()).sum()).exp().item()
        alike = x.mean(0).square().sum().item()
        return {"used": used, "entropy": entropy, "alike": alike, "rank": rank}

    def train_step(self, views: Views) -> dict[str, float]:
        """One update; the values of the terms before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        terms, signs = self.loss(views, np.random.default_rng([4, self.args.seed, self.step]))
        total = sum(terms.values())
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss is not finite at step {self.step}: {terms}")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        follow(self.teacher, self.student, self.momentum())
        self.step += 1
        return {**{name: term.item() for name, term in terms.items()}, **signs}

    def run(self) -> None:
        """Train from where the run stands to its end."""
        args = self.args
        data = SceneViews(
            args.steps * args.batch, args.size, args.local_size, args.locals, args.last_size,
            args.last_share, start=self.step * args.batch, batch=args.batch,
        )  # fmt: skip
        loader = DataLoader(
            data,
            args.batch,
            collate_fn=collate,
            num_workers=args.workers,
            persistent_workers=args.workers > 0,
            prefetch_factor=4 if args.workers else None,
        )
        recent: list[dict[str, float]] = []
        began = time.time() - self.seconds
        for views in loader:
            recent.append(self.train_step(views))
            self.seconds = time.time() - began
            last = self.step == args.steps
            if self.step % args.log_every == 0 or last:
                means = {name: np.mean([terms[name] for terms in recent]) for name in recent[0]}
                recent = []
                told = " ".join(f"{name} {mean:.3f}" for name, mean in means.items())
                print(f"step {self.step}/{args.steps} {self.seconds:.0f} s  {told}", flush=True)
            if self.step % args.eval_every == 0 or last:
                self.save()
                print(f"  {json.dumps(check(self.teacher.dino, args.eval_scenes))}", flush=True)
        self.finish()

    def finish(self) -> None:
        """Write the weights in half precision and the record of how they were made."""
        args, dino = self.args, self.teacher.dino
        weights = {
            name: tensor.half().contiguous().cpu() for name, tensor in dino.vit.state_dict().items()
        }
        path = args.work_dir / f"{args.model}.safetensors"
        save_file(weights, path)
        device, threads = torch.device(args.device).type, torch.get_num_threads()
        bank, queries, images = (int(n * args.final_scenes) for n in (1, 0.5, 0.25))
        final = scores(dino.eval(), "val", bank, queries, images)
        record = {
            "recipe": "tools/nano/train_dino.py",
            "arguments": {k: v for k, v in vars(args).items() if k != "work_dir"},
            "images": args.steps * args.batch,
            "parameters": sum(tensor.numel() for tensor in weights.values()),
            "seconds": round(self.seconds),
            "hardware": f"{device}, {threads} threads, {platform.machine()}",
            "versions": _versions(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "scenes": {"bank": bank, "queries": queries, "auc": images},
            **final,
        }
        record_path = path.with_suffix(".record.json")
        record_path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(f"{table(final)}\nwrote {path}")


def _versions() -> dict[str, str]:
    """Of what draws the scenes and trains on them."""
    found = {"numpy": np.__version__, "opencv": cv2.__version__, "torch": torch.__version__}
    try:
        found["timm"] = version("timm")
    except PackageNotFoundError:  # used from a checkout
        found["timm"] = timm.__version__
    return found


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line; the defaults are the recipe of the shipped weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/nano_dino"))
    parser.add_argument("--model", default="nano-dino-4", help="a JSON file of ovseg/assets/nano")
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--batch", type=int, default=32, help="pictures")
    parser.add_argument("--size", type=int, default=40, help="side of global views in pixels")
    parser.add_argument("--last-size", type=int, default=64, help="the same at the end of the run")
    parser.add_argument("--last-share", type=float, default=0.15, help="how much is the end")
    parser.add_argument("--local-size", type=int, default=24, help="side of local views")
    parser.add_argument("--locals", type=int, default=2, help="local views of a picture")
    parser.add_argument("--prototypes", type=int, default=256, help="of patches")
    parser.add_argument("--cls-prototypes", type=int, default=128, help="of class tokens")
    parser.add_argument("--temperature", type=float, default=0.025, help="the teacher's")
    parser.add_argument(
        "--smooth", type=float, default=0.0, help="sharpness of the teacher's look at like patches"
    )
    parser.add_argument("--koleo", type=float, default=0.1, help="weight of spreading out")
    parser.add_argument("--koleo-patches", type=int, default=8, help="patches of each view in it")
    parser.add_argument("--momentum", type=float, default=0.98, help="the teacher's, at first")
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--warmup", type=int, default=100, help="steps")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and the masks")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw scenes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--amp", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--log-every", type=int, default=25, help="steps")
    parser.add_argument("--eval-every", type=int, default=100, help="steps; saves as well")
    parser.add_argument("--eval-scenes", type=int, default=60, help="of the check while training")
    parser.add_argument("--final-scenes", type=int, default=400, help="of the scores in the record")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    args = parse_args(argv)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    try:
        DinoTrainer(args).run()
    except KeyboardInterrupt:
        raise SystemExit("interrupted: the same command goes on from the last checkpoint") from None


if __name__ == "__main__":
    main()
