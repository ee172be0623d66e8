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
import math
from typing import Any

import numpy as np
import open_clip
import torch
from clip_data import CaptionedScenes, collate, phrase_bank
from clip_loss import explained, multi_positive, pooled_similarity, shares
from clip_model import NanoCLIP
from clip_score import close_up_scores
from run import Run, adamw, parser_of, train
from torch.utils.data import DataLoader

from ovseg.datasets.scenes.classes import CLASSES, THINGS

_TEMPLATES = [t("{}") for t in open_clip.OPENAI_IMAGENET_TEMPLATES]
_TEMPLATES = ["{}"] * 30 + ["a {}", "a photo of a {}.", "the {}"] * 10 + _TEMPLATES


class NanoTrainer(Run):
    """The recipe; see the top of this file."""

    recipe, package = "tools/nano/train_clip.py", "open_clip_torch"
    #: How the record names the scores.
    scored_as = "held_out_close_ups_miou"

    def build(self) -> None:
        """Both towers, and the scale of the products of patches and words."""
        self.model = self.build_model()
        self.clip = self.model.clip.train()
        self.dense_scale = torch.nn.Parameter(torch.tensor(math.log(20.0), device=self.args.device))
        self.optimizer = adamw([*self.clip.parameters(), self.dense_scale], self.args.lr)

    def build_model(self) -> NanoCLIP:
        """The towers, with random weights."""
        return NanoCLIP(self.args.model, torch.device(self.args.device), self.args.amp)

    def batches(self) -> DataLoader:
        """Pictures, captions and phrases."""
        args = self.args
        data = CaptionedScenes(args.steps * args.batch, args.size, start=self.step * args.batch)
        return DataLoader(data, args.batch, collate_fn=collate, **self.drawing())

    def state(self) -> dict[str, Any]:
        """Both towers and the scale."""
        return {"clip": self.clip.state_dict(), "dense_scale": self.dense_scale.data}

    def load_state(self, state: dict[str, Any]) -> None:
        """Both towers and the scale."""
        self.clip.load_state_dict(state["clip"])
        self.dense_scale.data.copy_(state["dense_scale"])

    def clipped(self) -> list[torch.nn.Parameter]:
        """Those of the towers."""
        return list(self.clip.parameters())

    def loss(
        self,
        batch: tuple[torch.Tensor, list[str], list[tuple[str, ...]]],
        rng: np.random.Generator,
    ) -> dict[str, torch.Tensor]:
        """All terms for one batch, of equal weight."""
        images, captions, phrases = batch
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

    def scores(self) -> dict[str, float]:
        """The check on held-out close-ups."""
        return close_up_scores(self.model, self.args.size, self.args.eval_scenes)

    def finals(self) -> dict[str, Any]:
        """The scores."""
        return {self.scored_as: self.scores()}

    def weights(self) -> dict[str, torch.Tensor]:
        """Both towers; the causal mask is made anew."""
        return {k: v for k, v in self.clip.state_dict().items() if k != "attn_mask"}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line; the defaults are the recipe of the shipped weights."""
    parser = parser_of(__doc__, "nano_clip", "nano-vit-8")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--size", type=int, default=64, help="side of the scenes in pixels")
    parser.add_argument("--bank", type=int, default=128, help="phrases a batch is compared with")
    parser.add_argument(
        "--thing-share", type=float, default=0.15, help="part of a picture a thing may cover"
    )
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--warmup", type=int, default=300, help="steps")
    parser.add_argument("--log-every", type=int, default=50, help="steps")
    parser.add_argument("--eval-every", type=int, default=250, help="steps; saves as well")
    parser.add_argument("--eval-scenes", type=int, default=96)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    train(NanoTrainer, parse_args(argv))


if __name__ == "__main__":
    main()
