"""Train the nano CLIP ViT from scratch on captions of procedural scenes.

    python tools/nano/train_clip.py --work-dir work_dirs/nano_clip

Interrupt it whenever you like; the same command goes on from the last checkpoint, to the same
weights. At the end it writes ``nano-vit-8.safetensors`` and a JSON record of the run, to be put
into ``ovseg/assets/nano``.

What is learned: an open_clip ViT with a class token and an open_clip text tower. The class token
is contrasted with captions and phrases as in CLIP. Patches are contrasted with phrases through the
path of MaskCLIP (the last block with each patch attending to itself), pooled by similarity as in
PACL, and shared out among the words of the caption. Only the values are taught, as the class token
gathers nothing else from them: the block's residual, its MLP and so the plain patch tokens get no
loss on patches; they are as good as the class token makes them.
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
import open_clip
import torch
from clip_data import CaptionedScenes, collate, phrase_bank
from clip_loss import explained, multi_positive, pooled_similarity, shares
from clip_model import NanoCLIP
from clip_score import close_up_scores
from safetensors.torch import save_file
from torch.utils.data import DataLoader

from ovseg.datasets.scenes.classes import CLASSES, THINGS

_TEMPLATES = [t("{}") for t in open_clip.OPENAI_IMAGENET_TEMPLATES]
_TEMPLATES = ["{}"] * 30 + ["a {}", "a photo of a {}.", "the {}"] * 10 + _TEMPLATES

#: Arguments that may differ when a run is taken up again: they do not change what is learned.
_FREE = {"work_dir", "workers", "device", "log_every", "eval_every", "eval_scenes"}


class NanoTrainer:
    """Everything that has state: towers, optimizer, how far the run has come."""

    #: How the record of a run names the script and the scores.
    recipe, scored_as = "tools/nano/train_clip.py", "held_out_close_ups_miou"

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        torch.manual_seed(args.seed)
        self.model = self.build_model()
        self.clip = self.model.clip
        self.dense_scale = torch.nn.Parameter(torch.tensor(math.log(20.0), device=args.device))
        decayed = [p for p in self.clip.parameters() if p.ndim > 1]
        others = [p for p in self.clip.parameters() if p.ndim <= 1] + [self.dense_scale]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}],
            lr=args.lr,
            betas=(0.9, 0.98),
        )
        self.step, self.seconds = 0, 0.0
        self.checkpoint = args.work_dir / "last.pt"
        if self.checkpoint.exists():
            self._resume()

    def build_model(self) -> NanoCLIP:
        """The towers, with random weights."""
        return NanoCLIP(self.args.model, torch.device(self.args.device), self.args.amp)

    def build_loader(self) -> DataLoader:
        """Batches from where the run stands to its end."""
        args = self.args
        data = CaptionedScenes(args.steps * args.batch, args.size, start=self.step * args.batch)
        return DataLoader(data, args.batch, collate_fn=collate, **self.drawing())

    def drawing(self) -> dict:
        """How a loader's processes draw."""
        workers = self.args.workers
        return {
            "num_workers": workers,
            "persistent_workers": workers > 0,
            "prefetch_factor": 8 if workers else None,
        }

    def images_seen(self) -> int:
        """Pictures of the whole run."""
        return self.args.steps * self.args.batch

    @property
    def arguments(self) -> dict:
        """The arguments that decide what is learned."""
        return {k: v for k, v in vars(self.args).items() if k not in _FREE}

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.args.device, weights_only=True)
        began = state.get("arguments", self.arguments)
        other = {k: v for k, v in began.items() if self.arguments.get(k) != v}
        if other:
            raise SystemExit(
                f"{self.checkpoint} is of a run with {other}: repeat these arguments to go on, "
                "or choose another --work-dir"
            )
        self.clip.load_state_dict(state["clip"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.dense_scale.data.copy_(state["dense_scale"])
        self.step, self.seconds = state["step"], state["seconds"]
        print(f"resumed at step {self.step}")

    def save(self) -> None:
        """Write the checkpoint; a cut while writing leaves the previous one whole."""
        part = self.checkpoint.with_suffix(".part")
        torch.save(
            {
                "clip": self.clip.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "dense_scale": self.dense_scale.data,
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

    def loss(
        self,
        images: torch.Tensor,
        captions: list[str],
        phrases: list[tuple[str, ...]],
        rng: np.random.Generator,
    ) -> dict[str, torch.Tensor]:
        """All terms for one batch, of equal weight."""
        bank, true = phrase_bank(phrases, self.args.bank, rng)
        true = true.to(self.args.device)
        named = torch.tensor([p in CLASSES for p in bank], device=self.args.device)
        is_thing = torch.tensor([p in THINGS for p in bank], device=self.args.device)[named]
        share = shares(true[:, named], is_thing, self.args.thing_share)
        prompts = [_TEMPLATES[rng.integers(len(_TEMPLATES))].format(p) for p in bank]
        # Patches are taught as self-correlation reads them, by whichever of q, k and v: so each of
        # the three learns which patches are alike, and values learn to be worth averaging.
        alike = "qkv"[int(rng.integers(3))]
        with self.model.autocast():
            cls, patches = self.model.encode_image(images, [alike])
            words = self.model.encode_text(prompts + captions)
        sentences, words = words[len(bank) :], words[: len(bank)]
        # Patches are shared out softly at first, while words mean little, and then ever more
        # sharply: from half of the run on a patch is mostly one word's.
        sharpness = 1 + 3 * min(1.0, 2 * self.step / self.args.steps)
        scale = self.clip.logit_scale.exp().clamp(max=100)
        dense_scale = self.dense_scale.exp().clamp(max=100)
        same = torch.tensor([[a == b for b in captions] for a in captions], device=cls.device)
        terms = {
            "caption": multi_positive(scale * cls @ sentences.T, same),
            "phrase": multi_positive(scale * cls @ words.T, true),
        }
        terms["pooled"] = multi_positive(
            dense_scale * pooled_similarity(patches[alike], words, sharpness=20.0), true
        )
        terms["explained"] = explained(patches[alike], words[named], share, dense_scale, sharpness)
        return terms

    def train_step(
        self, images: torch.Tensor, captions: list[str], phrases: list[tuple[str, ...]]
    ) -> dict[str, float]:
        """One update; the values of the terms before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        terms = self.loss(images, captions, phrases, np.random.default_rng([3, self.step]))
        total = sum(terms.values())
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss is not finite at step {self.step}: {terms}")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.clip.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return {name: term.item() for name, term in terms.items()}

    def run(self) -> None:
        """Train from where the run stands to its end."""
        args = self.args
        self.clip.train()
        recent: list[dict[str, float]] = []
        began = time.time() - self.seconds
        for batch in self.build_loader():
            recent.append(self.train_step(*batch))
            self.seconds = time.time() - began
            last = self.step == args.steps
            if self.step % args.log_every == 0 or last:
                means = {name: np.mean([terms[name] for terms in recent]) for name in recent[0]}
                recent = []
                told = " ".join(f"{name} {mean:.3f}" for name, mean in means.items())
                print(f"step {self.step}/{args.steps} {self.seconds:.0f} s  {told}", flush=True)
            if self.step % args.eval_every == 0 or last:
                print(f"  {json.dumps(self.scores())}", flush=True)
                self.save()
        self.finish()

    def scores(self) -> dict[str, float]:
        """The check on held-out close-ups."""
        return close_up_scores(self.model, self.args.size, self.args.eval_scenes)

    def finish(self) -> None:
        """Write the weights in half precision and the record of how they were made."""
        weights = {
            name: tensor.half().contiguous().cpu()
            for name, tensor in self.clip.state_dict().items()
            if name != "attn_mask"
        }
        path = self.args.work_dir / f"{self.args.model}.safetensors"
        save_file(weights, path)
        device, threads = torch.device(self.args.device).type, torch.get_num_threads()
        record = {
            "recipe": self.recipe,
            "arguments": {k: v for k, v in vars(self.args).items() if k != "work_dir"},
            "images": self.images_seen(),
            "parameters": sum(tensor.numel() for tensor in weights.values()),
            "seconds": round(self.seconds),
            "hardware": f"{device}, {threads} threads, {platform.machine()}",
            "versions": _versions(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            self.scored_as: self.scores(),
        }
        record_path = path.with_suffix(".record.json")
        record_path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {path}")


def _versions() -> dict[str, str]:
    """Of what draws the scenes and trains on them."""
    found = {"numpy": np.__version__, "opencv": cv2.__version__, "torch": torch.__version__}
    try:
        found["open_clip_torch"] = version("open_clip_torch")
    except PackageNotFoundError:  # used from a checkout
        pass
    return found


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line; the defaults are the recipe of the shipped weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/nano_clip"))
    parser.add_argument("--model", default="nano-vit-8", help="a JSON file of ovseg/assets/nano")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--size", type=int, default=64, help="side of the scenes in pixels")
    parser.add_argument("--bank", type=int, default=128, help="phrases a batch is compared with")
    parser.add_argument(
        "--thing-share", type=float, default=0.15, help="part of a picture a thing may cover"
    )
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--warmup", type=int, default=300, help="steps")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw scenes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--amp", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--log-every", type=int, default=50, help="steps")
    parser.add_argument("--eval-every", type=int, default=250, help="steps; saves as well")
    parser.add_argument("--eval-scenes", type=int, default=96)
    return parser.parse_args(argv)


def train(trainer: type[NanoTrainer], args: argparse.Namespace) -> None:
    """Run a recipe to its end, or until it is interrupted."""
    args.work_dir.mkdir(parents=True, exist_ok=True)
    try:
        trainer(args).run()
    except KeyboardInterrupt:
        raise SystemExit("interrupted: the same command goes on from the last checkpoint") from None


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    train(NanoTrainer, parse_args(argv))


if __name__ == "__main__":
    main()
