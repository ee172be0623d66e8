"""Whether a nano CLIP still finds the caption of a picture, and the picture of a caption.

    python tools/nano/score_retrieval.py                                  # the packaged weights
    python tools/nano/score_retrieval.py --weights tower.safetensors      # after fine-tuning

Held-out close-ups of one to three things, as the class token was trained on, each with its caption;
whole pictures against whole sentences. Training dense features may cost what the class token knew:
this says how much.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from ovseg.datasets.scenes.caption import caption
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS
from ovseg.encoders.clip_text import CLIPText
from ovseg.encoders.clip_vit import CLIPViT

FIRST = (1, 5, 10)


def captioned(split: str, count: int, size: int) -> tuple[torch.Tensor, list[str]]:
    """Pictures (N, 3, size, size) uint8 and their captions."""
    images, captions = [], []
    for i in range(count):
        scene = render((SPLITS[split], i), size, zoom=2.0, num_things=(1, 3))
        images.append(torch.from_numpy(scene.image.transpose(2, 0, 1).copy()))
        captions.append(caption(scene, i))
    return torch.stack(images), captions


def recalls(pictures: torch.Tensor, texts: torch.Tensor, captions: list[str]) -> dict[str, float]:
    """How often the right one is among the first, in percent.

    Args:
        pictures: (N, E) embeddings of pictures.
        texts: (N, E) of their captions.
        captions: The captions: equal ones are equally right.

    Returns:
        ``caption_of_picture_R1``, ``picture_of_caption_R1``, and so on for each of `FIRST`.
    """
    similar = F.normalize(pictures.float(), dim=-1) @ F.normalize(texts.float(), dim=-1).T
    numbers = np.unique(captions, return_inverse=True)[1]
    right = torch.from_numpy(numbers[:, None] == numbers[None])
    found = {}
    for name, table, true in (
        ("caption_of_picture", similar, right),
        ("picture_of_caption", similar.T, right.T),
    ):
        best = table.masked_fill(~true, -torch.inf).amax(1, keepdim=True)
        rank = ((table > best) & ~true).sum(1)
        for first in FIRST:
            found[f"{name}_R{first}"] = round(100 * float((rank < first).float().mean()), 1)
    return found


@torch.no_grad()
def scores(tower: CLIPViT, text: CLIPText, split: str, count: int) -> dict[str, float]:
    """`recalls` of ``count`` pictures of a split at the tower's own size."""
    images, captions = captioned(split, count, tower.patch_size * max(tower.native_grid))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (tower.mean, tower.std))
    pictures = [tower((part / 255 - mean) / std) for part in images.split(64)]
    return recalls(torch.cat(pictures), text.encode(captions), captions)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nano-vit-8")
    parser.add_argument("--weights", type=Path, help="of the image tower, not the packaged ones")
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--split", default="val", choices=("check", "val"))
    args = parser.parse_args(argv)
    tower = CLIPViT(args.model, "ovseg", args.weights)
    print(json.dumps(scores(tower, CLIPText(args.model, "ovseg"), args.split, args.scenes)))


if __name__ == "__main__":
    main()
