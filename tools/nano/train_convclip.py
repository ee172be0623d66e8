"""Train the nano convolutional CLIP from scratch on captions of procedural scenes.

    python tools/nano/train_convclip.py --work-dir work_dirs/nano_convclip

Interrupt it whenever you like; the same command goes on from the last checkpoint, to the same
weights. At the end it writes ``nano-convnext.safetensors`` and a JSON record of the run, to be put
into ``ovseg/assets/nano``.

What is learned: an open_clip tower with a ConvNeXt of timm and an open_clip text tower. The mean
of the last map, through the tower's head, is contrasted with captions and phrases as in CLIP. Each
cell of the map, through the same head, is contrasted with phrases, pooled by similarity as in
PACL, and shared out among the words of the caption. What cells a word was given are also pooled
before the head, as FC-CLIP's masks pool them, and must then be that word.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from clip_data import phrase_bank
from clip_loss import assign, explained, multi_positive, pooled_similarity, regions, shares
from convclip_data import SceneBatches
from convclip_model import ConvCLIP
from run import parser_of, train
from score_convclip import PROMPT, VIEWS, scores
from torch.utils.data import DataLoader
from train_clip import _TEMPLATES, NanoTrainer

from ovseg.datasets.scenes.classes import CLASSES, THINGS


class ConvTrainer(NanoTrainer):
    """As `NanoTrainer`, for a tower whose every cell goes through the head of the whole image."""

    recipe, scored_as = "tools/nano/train_convclip.py", "held_out_scenes"

    def build_model(self) -> ConvCLIP:
        """The towers, with random weights."""
        return ConvCLIP(self.args.model, torch.device(self.args.device), self.args.amp)

    def build_data(self, start: int = 0) -> SceneBatches:
        """Batches of the run from a step on."""
        args = self.args
        return SceneBatches(args.steps, args.batch, args.sizes, args.small, start=start)

    def batches(self) -> DataLoader:
        """Pictures, captions and phrases."""
        return DataLoader(self.build_data(self.step), batch_size=None, **self.drawing())

    def images_seen(self) -> int:
        """Pictures of the whole run."""
        data = self.build_data()
        return sum(data.count(step) for step in range(self.args.steps))

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
        with self.model.autocast():
            words = self.model.encode_text(prompts + captions)
            features = self.model.res5(images).flatten(2).transpose(1, 2)
            whole = self.model.embed(features.mean(1))
            cells = self.model.embed(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        sentences, words = words[len(bank) :], words[: len(bank)]
        names = words[named]
        # Cells are shared out softly at first, while words mean little, and then ever more
        # sharply: from half of the run on a cell is mostly one word's.
        sharpness = 1 + 3 * min(1.0, 2 * self.step / self.args.steps)
        scale = self.clip.logit_scale.exp().clamp(max=100)
        dense_scale = self.dense_scale.exp().clamp(max=100)
        same = torch.tensor([[a == b for b in captions] for a in captions], device=whole.device)
        plan = assign(sharpness * dense_scale * cells @ names.T, share)
        pooled, word = regions(features, plan, share)
        with self.model.autocast():
            pooled = self.model.embed(pooled)
        return {
            "caption": multi_positive(scale * whole @ sentences.T, same),
            "phrase": multi_positive(scale * whole @ words.T, true),
            "pooled": multi_positive(
                dense_scale * pooled_similarity(cells, words, sharpness=20.0), true
            ),
            "explained": explained(cells, names, share, dense_scale, sharpness),
            "regions": torch.nn.functional.cross_entropy(dense_scale * pooled @ names.T, word),
        }

    def scores(self) -> dict[str, dict[str, float]]:
        """The check on held-out scenes, at each of the views."""
        self.clip.eval()
        with torch.no_grad(), self.model.autocast():
            words = self.model.encode_text([PROMPT.format(name) for name in CLASSES]).cpu()
            found = {
                name: scores(self.model.res5, self._embed, words, view, self.args.eval_scenes)
                for name, view in VIEWS.items()
            }
        self.clip.train()
        return found

    def _embed(self, vectors: torch.Tensor) -> torch.Tensor:
        return self.model.embed(vectors.to(self.args.device)).cpu()


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line; the defaults are the recipe of the shipped weights."""
    parser = parser_of(__doc__, "nano_convclip", "nano-convnext")
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--batch", type=int, default=64, help="pictures of the smallest size")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[128, 192, 256],
        help="sides of the scenes in pixels",
    )
    parser.add_argument(
        "--small", type=float, default=0.5, help="share of the run at the smallest size only"
    )
    parser.add_argument("--bank", type=int, default=96, help="phrases a batch is compared with")
    parser.add_argument(
        "--thing-share", type=float, default=0.2, help="part of a picture a thing may cover"
    )
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--warmup", type=int, default=100, help="steps")
    parser.add_argument("--log-every", type=int, default=50, help="steps")
    parser.add_argument("--eval-every", type=int, default=100, help="steps; saves as well")
    parser.add_argument("--eval-scenes", type=int, default=48)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    train(ConvTrainer, parse_args(argv))


if __name__ == "__main__":
    main()
