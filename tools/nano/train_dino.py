"""Train the nano DINO from scratch by self-distillation on procedural scenes.

    python tools/nano/train_dino.py --work-dir work_dirs/nano_dino

Interrupt it whenever you like; the same command goes on from the last checkpoint, to the same
weights. At the end it writes ``nano-dino-8.safetensors`` (the teacher) and a JSON record of the
run, to be put into ``ovseg/assets/nano``.

What is learned from: crops of two moments of a scene. The class token of a student must say of
each crop, of which patches may be hidden, what a slowly following teacher says of a crop of the
other moment (Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", 2021;
there both crops are of one photograph). Patches are taught nothing of their own. No caption, class
or mask is ever read.

What is kept: the first blocks. The last ones turn patches into what the class token needs and know
less of each place, so they are left away with the head. Values are whitened at the end.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
import torch
from dino_data import (
    GLOBAL_SCALE,
    LOCAL_SCALE,
    Films,
    block_masks,
    make_views,
    still_windows,
)
from dino_loss import cross_entropy, koleo, sinkhorn
from dino_model import Network, encoder_of, follow, teacher_of
from dino_whiten import whiten_values
from run import Run, adamw, parser_of, train
from score_dino import check, scores, table
from torch.utils.data import DataLoader

from ovseg.encoders.dino import DINO


class DinoTrainer(Run):
    """The recipe; see the top of this file."""

    recipe, package = "tools/nano/train_dino.py", "timm"

    def build(self) -> None:
        """Student and teacher."""
        args = self.args
        self.student = Network(args.model, args.prototypes, args.head_blocks).to(args.device)
        self.teacher = teacher_of(self.student)
        self.optimizer = adamw(self.student.parameters(), args.lr)

    def batches(self) -> DataLoader:
        """Films."""
        args = self.args
        data = Films(args.steps * args.batch, start=self.step * args.batch)
        return DataLoader(data, args.batch, **self.drawing())

    def state(self) -> dict[str, Any]:
        """Both networks."""
        return {"student": self.student.state_dict(), "teacher": self.teacher.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Both networks."""
        self.student.load_state_dict(state["student"])
        self.teacher.load_state_dict(state["teacher"])

    def clipped(self) -> list[torch.nn.Parameter]:
        """The student's."""
        return list(self.student.parameters())

    def momentum(self) -> float:
        """How much of the teacher stays: from ``--momentum`` to 1, by a cosine."""
        progress = self.step / self.args.steps
        return 1 - (1 - self.args.momentum) * 0.5 * (1 + math.cos(math.pi * progress))

    def updated(self) -> dict[str, float]:
        """The teacher follows; signs of collapse."""
        follow(self.teacher, self.student, self.momentum())
        return self._signs

    def loss(self, batch: torch.Tensor, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """Both terms for films (B, 2, 3, H, W) uint8."""
        args = self.args
        pictures = batch.to(args.device).flatten(0, 1)
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        images = make_views(pictures, args.size, GLOBAL_SCALE, 1, generator)
        near = make_views(pictures, args.local_size, LOCAL_SCALE, args.locals, generator)
        side = args.size // self.student.dino.patch_size
        mask = block_masks(len(images), side, rng).to(args.device)
        device = torch.device(args.device).type
        with torch.autocast(device, torch.bfloat16, enabled=args.amp):
            with torch.no_grad():
                told, patches = (part.float() for part in self.teacher(images))
            said = [self.student(images, mask)[0].float()]
            if len(near):
                said.append(self.student(near)[0].float())
        with torch.no_grad():
            targets = sinkhorn(self.teacher.head(told), args.temperature)
        # Each global view against the other moment's, local views against both.
        other = torch.arange(len(images), device=images.device) ^ 1
        both = targets.unflatten(0, (-1, 2)).mean(1)
        wanted = [targets[other], both.repeat_interleave(2 * args.locals, 0)]
        logits = torch.cat([self.student.head(x) for x in said])
        self._signs = _signs(patches, targets)
        return {
            "cls": cross_entropy(logits, torch.cat(wanted)),
            # Spread what the student says over the sphere.
            "koleo": args.koleo * (koleo(said[0][::2]) + koleo(said[0][1::2])) / 2,
        }

    def encoder(self) -> DINO:
        """What is kept of the teacher, with whitened values."""
        dino = encoder_of(self.teacher, self.args.model)
        whiten_values(dino, still_windows(self.args.whiten_scenes))
        return dino

    def scores(self) -> dict[str, float]:
        """k-NN and AUC on a few scenes."""
        return check(self.encoder(), self.args.eval_scenes)

    def finals(self) -> dict[str, Any]:
        """k-NN and AUC on scenes of the benchmark."""
        bank, queries, images = (int(n * self.args.final_scenes) for n in (1, 0.5, 0.25))
        found = scores(self.encoder(), "val", bank, queries, images)
        print(table(found))
        return {"scenes": {"bank": bank, "queries": queries, "auc": images}, **found}

    def weights(self) -> dict[str, torch.Tensor]:
        """Those that are kept of the teacher's."""
        return self.encoder().vit.state_dict()


@torch.no_grad()
def _signs(patches: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    """What collapse shows in: few prototypes used, soft targets, patches alike, a low rank."""
    x = patches.flatten(0, 1)[::17]
    x = torch.nn.functional.normalize(x, dim=-1)
    used = targets.argmax(1).unique().numel() / targets.shape[1]
    entropy = -(targets * targets.clamp(min=1e-9).log()).sum(1).mean().item()
    sizes = torch.linalg.svdvals(x - x.mean(0)).clamp(min=1e-9)
    sizes = sizes / sizes.sum()
    rank = (-(sizes * sizes.log()).sum()).exp().item()
    alike = x.mean(0).square().sum().item()
    return {"used": used, "entropy": entropy, "alike": alike, "rank": rank}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line; the defaults are the recipe of the shipped weights."""
    parser = parser_of(__doc__, "nano_dino", "nano-dino-8")
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--batch", type=int, default=64, help="films")
    parser.add_argument("--size", type=int, default=48, help="side of global views in pixels")
    parser.add_argument("--local-size", type=int, default=24, help="side of local views")
    parser.add_argument("--locals", type=int, default=2, help="local views of a moment")
    parser.add_argument("--prototypes", type=int, default=512)
    parser.add_argument("--head-blocks", type=int, default=3, help="blocks that are not kept")
    parser.add_argument("--whiten-scenes", type=int, default=100, help="values are whitened on")
    parser.add_argument("--temperature", type=float, default=0.03, help="the teacher's")
    parser.add_argument("--koleo", type=float, default=0.1, help="weight of spreading out")
    parser.add_argument("--momentum", type=float, default=0.98, help="the teacher's, at first")
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--warmup", type=int, default=100, help="steps")
    parser.add_argument("--log-every", type=int, default=25, help="steps")
    parser.add_argument("--eval-every", type=int, default=300, help="steps; saves as well")
    parser.add_argument("--eval-scenes", type=int, default=60, help="of the check while training")
    parser.add_argument("--final-scenes", type=int, default=400, help="of the scores in the record")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    train(DinoTrainer, parse_args(argv))


if __name__ == "__main__":
    main()
