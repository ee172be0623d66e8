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
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from run import Run, adamw, parser_of, train, warm_cosine
from sam_data import Counts, PromptedScenes
from sam_loss import best_of, grouping_loss, mask_loss, true_iou
from sam_model import NanoSAM
from score_sam import score, seconds_per_scene
from torch.nn import functional as F
from torch.utils.data import DataLoader

from ovseg.encoders.sam_build import sam_architecture
from ovseg.encoders.sam_size import fit_positions

#: What belongs to a prompt, of all that a picture comes with.
_PROMPT = ("masks", "points", "labels", "boxes", "coarse")

#: What a prompt that begins with a mask shows besides it, and how often.
_COMPANY = {("points", "boxes"): 0.5, ("boxes",): 0.2, ("points",): 0.15, (): 0.15}


class SAMTrainer(Run):
    """The recipe; see the top of this file."""

    recipe, package, decimals = "tools/nano/train_sam.py", "segment_anything", 4

    def build(self) -> None:
        """The model for the first pictures."""
        self.counts = Counts(*self.args.prompts)
        self.full_size = sam_architecture(self.args.model)[1].image_size
        self._build(self.args.small_size if self.args.small_steps else self.full_size)

    def _build(self, size: int) -> None:
        """A model for pictures of some size, and its optimizer."""
        _, full = sam_architecture(self.args.model)
        sizes = replace(full, image_size=size)
        self.model = NanoSAM(sizes, torch.device(self.args.device), self.args.amp)
        self.sam = self.model.sam
        trained = [p for p in self.sam.parameters() if p.requires_grad]
        self.optimizer = adamw(trained, self.args.lr)

    def batches(self) -> DataLoader:
        """Pictures of the size that the model has now, with masks and prompts."""
        args = self.args
        end = args.small_steps if self.step < args.small_steps else args.steps
        data = PromptedScenes(
            end * args.batch,
            self.model.encoder.image_size,
            self.model.mask_side,
            self.counts,
            start=self.step * args.batch,
        )
        return DataLoader(data, args.batch, **self.drawing())

    def state(self) -> dict[str, Any]:
        """The model and the size it is for."""
        return {"sam": self.sam.state_dict(), "size": self.model.encoder.image_size}

    def load_state(self, state: dict[str, Any]) -> None:
        """The model, for the size it was saved at."""
        if state["size"] != self.model.encoder.image_size:
            self._build(state["size"])
        self.sam.load_state_dict(state["sam"])

    def clipped(self) -> list[torch.nn.Parameter]:
        """All."""
        return list(self.sam.parameters())

    def learning_rate(self) -> float:
        """In each of the two parts a linear warm-up and a cosine; the second is half as high."""
        args, step = self.args, self.step
        if step < args.small_steps:
            return args.lr * warm_cosine(step, args.warmup, args.small_steps)
        began = args.small_steps
        peak = args.lr / 2 if began else args.lr
        return peak * warm_cosine(step - began, args.warmup, args.steps - began)

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
            found = grouping_loss(attention.float(), embedding.shape[-2:], batch["masks"])
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

    def run(self) -> None:
        """Train from where the run stands to its end."""
        args = self.args
        if self.step < args.small_steps:
            self.run_until(args.small_steps)
        if self.model.encoder.image_size != self.full_size:
            state = self.sam.state_dict()
            self._build(self.full_size)
            self.sam.load_state_dict(fit_positions(state, self.sam))
        self.run_until(args.steps)
        self.finish()

    def scores(self) -> dict[str, float]:
        """The benchmark's measure on held-out scenes."""
        return score(self.model.encoder, "check", self.args.eval_scenes)

    def finals(self) -> dict[str, Any]:
        """Also how fast it is."""
        seconds = seconds_per_scene(self.model.encoder)
        return {"held_out_iou": self.scores(), "seconds_per_scene_8_prompts": round(seconds, 4)}

    def weights(self) -> dict[str, torch.Tensor]:
        """All."""
        return self.sam.state_dict()


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


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line; the defaults are the recipe of the shipped weights."""
    parser = parser_of(__doc__, "nano_sam", "nano-sam-8")
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
    train(SAMTrainer, parse_args(argv))


if __name__ == "__main__":
    main()
