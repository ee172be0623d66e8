"""Train the nano CLIP ViT from scratch on captions of procedural scenes.

    python tools/nano/train_clip.py --work-dir work_dirs/nano_clip

Interrupt it whenever you like; the same command goes on where it stopped. At the end it writes
``nano-vit-8.safetensors`` and a JSON record of the run, to be put into ``ovseg/assets/nano``.

What is learned: an open_clip ViT with a class token and an open_clip text tower. The class token
is contrasted with captions and phrases as in CLIP. Patches are contrasted with phrases through the
path of MaskCLIP (the last block with each patch attending to itself), pooled by similarity as in
PACL, both with and without that block's residual and MLP. Plain patch tokens get no loss: they
are as good as the class token makes them, as in CLIP.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from pathlib import Path

import numpy as np
import open_clip
import torch
from clip_data import CaptionedScenes, collate, phrase_bank
from clip_loss import explained, multi_positive, pooled_similarity, unit
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file
from torch.utils.data import DataLoader

from ovseg.datasets.scenes.classes import CLASSES, STUFF
from ovseg.datasets.scenes.render import render

ASSETS = Path(__file__).resolve().parents[2] / "ovseg" / "assets" / "nano"
MEAN, STD = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
_TEMPLATES = [t("{}") for t in open_clip.OPENAI_IMAGENET_TEMPLATES]
_TEMPLATES = ["{}"] * 30 + ["a {}", "a photo of a {}.", "the {}"] * 10 + _TEMPLATES


class NanoTrainer:
    """Everything that has state: towers, optimizer, how far the run has come."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.device = torch.device(args.device)
        torch.manual_seed(args.seed)
        config = json.loads((ASSETS / f"{args.model}.json").read_text())
        bpe = config["text_cfg"].pop("bpe_file")
        self.tokenizer = SimpleTokenizer(str(ASSETS / bpe), context_length=77)
        self.clip = open_clip.CLIP(**config, output_dict=False).to(self.device)
        self.dense_scale = torch.nn.Parameter(torch.tensor(math.log(20.0), device=self.device))
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

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
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
            },
            part,
        )
        part.replace(self.checkpoint)

    def learning_rate(self) -> float:
        """Linear warm-up, then one cosine down to a hundredth."""
        warm = min(1.0, (self.step + 1) / self.args.warmup)
        progress = min(1.0, self.step / self.args.steps)
        return self.args.lr * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    def encode_text(self, texts: list[str]) -> torch.Tensor:
        """The text tower on the tokens there are, instead of on all 77 places: (n, E) unit rows."""
        tokens = self.tokenizer(texts).to(self.device)
        length = int(tokens.argmax(1).max()) + 1
        tokens, clip = tokens[:, :length], self.clip
        x = clip.token_embedding(tokens) + clip.positional_embedding[:length]
        x = clip.transformer(x, attn_mask=clip.attn_mask[:length, :length])
        x = clip.ln_final(x)[torch.arange(len(texts)), tokens.argmax(1)]
        return unit(x @ clip.text_projection)

    def encode_image(self, images: torch.Tensor):
        """Unit rows: class token (B, E), patches by two paths (B, N, E), plain patches (B, N, E)."""
        visual = self.clip.visual
        x = (images.to(self.device).float() / 255 - self._mean) / self._std
        x = visual.conv1(x).flatten(2).transpose(1, 2)
        cls = visual.class_embedding.expand(len(x), 1, -1)
        x = visual.ln_pre(torch.cat([cls, x], 1) + visual.positional_embedding)
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            x = block(x)
        tokens = last(x)
        width = x.shape[-1]
        weight, bias = last.attn.in_proj_weight[-width:], last.attn.in_proj_bias[-width:]
        value = last.attn.out_proj(torch.nn.functional.linear(last.ln_1(x[:, 1:]), weight, bias))
        whole = x[:, 1:] + value
        whole = whole + last.mlp(last.ln_2(whole))

        def project(t):
            return unit(visual.ln_post(t) @ visual.proj)

        tokens = project(tokens)
        return tokens[:, 0], (project(value), project(whole)), tokens[:, 1:]

    @property
    def _mean(self):
        return torch.tensor(MEAN, device=self.device).view(3, 1, 1)

    @property
    def _std(self):
        return torch.tensor(STD, device=self.device).view(3, 1, 1)

    def loss(self, images, captions, phrases, rng) -> dict[str, torch.Tensor]:
        """All terms for one batch."""
        bank, true = phrase_bank(phrases, self.args.bank, rng)
        true = true.to(self.device)
        named = torch.tensor([p in CLASSES for p in bank], device=self.device)
        prompts = [_TEMPLATES[rng.integers(len(_TEMPLATES))].format(p) for p in bank]
        with self.autocast():
            cls, paths, _ = self.encode_image(images)
            words = self.encode_text(prompts + captions)
        sentences, words = words[len(bank) :], words[: len(bank)]
        scale = self.clip.logit_scale.exp().clamp(max=100)
        dense_scale = self.dense_scale.exp().clamp(max=100)
        same = [[a == b for b in captions] for a in captions]
        terms = {
            "caption": multi_positive(scale * cls @ sentences.T, torch.tensor(same).to(cls.device)),
            "phrase": multi_positive(scale * cls @ words.T, true),
        }
        for name, patches in zip(("value", "whole"), paths, strict=True):
            pooled = pooled_similarity(patches, words, sharpness=20.0)
            terms[f"pooled_{name}"] = multi_positive(dense_scale * pooled, true)
            terms[f"explained_{name}"] = explained(
                patches, words[named], true[:, named], dense_scale
            )
        return terms

    def autocast(self):
        """bfloat16 where asked for: a third faster on CPUs that have it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.args.amp)

    def run(self) -> None:
        """Train from where the run stands to its end."""
        args = self.args
        data = CaptionedScenes(args.steps * args.batch, args.size, start=self.step * args.batch)
        loader = DataLoader(
            data,
            args.batch,
            collate_fn=collate,
            num_workers=args.workers,
            persistent_workers=args.workers > 0,
            prefetch_factor=8 if args.workers else None,
        )
        self.clip.train()
        sums: dict[str, float] = {}
        began = time.time()
        for images, captions, phrases in loader:
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
            for name, term in terms.items():
                sums[name] = sums.get(name, 0.0) + term.item()
            if self.step % args.log_every == 0 or self.step == args.steps:
                self.seconds += time.time() - began
                began = time.time()
                means = " ".join(f"{k} {v / args.log_every:.3f}" for k, v in sums.items())
                print(f"step {self.step}/{args.steps} {self.seconds:.0f} s  {means}", flush=True)
                sums = {}
            if self.step % args.eval_every == 0 or self.step == args.steps:
                print(f"  {json.dumps(self.evaluate())}", flush=True)
                self.save()
        self.finish()

    @torch.no_grad()
    def evaluate(self, num_scenes: int = 96) -> dict[str, float]:
        """mIoU in percent on held-out close-ups at patch resolution, stuff and things apart."""
        self.clip.eval()
        words = self.encode_text([f"a photo of a {c}." for c in CLASSES])
        scenes = [render((2, i), self.args.size, zoom=2.0, num_things=(1, 3)) for i in range(num_scenes)]
        images = torch.stack([torch.from_numpy(s.image.transpose(2, 0, 1).copy()) for s in scenes])
        with self.autocast():
            _, (value, whole), plain = self.encode_image(images)
        truth = np.stack([s.semantic for s in scenes])
        side = int(value.shape[1] ** 0.5)
        scores = {}
        for name, patches in (("plain", plain), ("value", value), ("whole", whole)):
            logits = (patches @ words.T).transpose(1, 2).reshape(num_scenes, -1, side, side)
            logits = torch.nn.functional.interpolate(logits, truth.shape[1:], mode="bilinear")
            guess = logits.argmax(1).cpu().numpy()
            both = [np.sum((guess == c) & (truth == c)) for c in range(len(CLASSES))]
            either = [np.sum((guess == c) | (truth == c)) for c in range(len(CLASSES))]
            iou = 100 * np.array(both) / np.maximum(either, 1)
            stuff, things = iou[: len(STUFF)].mean(), iou[len(STUFF) :].mean()
            for part, number in (("", iou.mean()), ("_stuff", stuff), ("_things", things)):
                scores[name + part] = round(float(number), 1)
        self.clip.train()
        return scores

    def finish(self) -> None:
        """Write the weights in half precision and the record of how they were made."""
        weights = {
            name: tensor.half().contiguous().cpu()
            for name, tensor in self.clip.state_dict().items()
            if name != "attn_mask"
        }
        save_file(weights, self.args.work_dir / f"{self.args.model}.safetensors")
        arguments = {k: v for k, v in vars(self.args).items() if k != "work_dir"}
        record = {
            "recipe": "tools/nano/train_clip.py",
            "arguments": arguments,
            "images": self.args.steps * self.args.batch,
            "seconds": round(self.seconds),
            "hardware": f"{self.device.type}, {torch.get_num_threads()} threads, {platform.machine()}",
            "torch": torch.__version__,
            "held_out_close_ups_miou": self.evaluate(),
        }
        path = self.args.work_dir / f"{self.args.model}.record.json"
        path.write_text(json.dumps(record, indent=2) + "\n")
        print(f"wrote {path.with_name(self.args.model + '.safetensors')}")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line; the defaults are the recipe of the shipped weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/nano_clip"))
    parser.add_argument("--model", default="nano-vit-8")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--bank", type=int, default=128, help="phrases a batch is compared with")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--warmup", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--amp", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--log-every", type=int, default=50)
    parser.add_argument("--eval-every", type=int, default=250)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    args = parse_args(argv)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    NanoTrainer(args).run()


if __name__ == "__main__":
    main()
