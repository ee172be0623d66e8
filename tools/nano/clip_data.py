"""Image-caption pairs from the procedural scenes, endless and the same for every run of a seed.

All that leaves this module besides pixels are words: a caption's phrases and the shorter phrases
they contain. No mask, box or position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from ovseg.datasets.scenes.caption import caption, mentioned
from ovseg.datasets.scenes.render import Scene, render
from ovseg.datasets.scenes.splits import SPLITS


@dataclass(frozen=True)
class Sample:
    """One picture in words: ``image`` (3, H, W) uint8; ``phrases`` are all true of it."""

    image: torch.Tensor
    caption: str
    phrases: tuple[str, ...]


def sub_phrases(scene: Scene) -> tuple[str, ...]:
    """What the caption says and implies: a ``striped red car`` is a red car and a car."""
    found: dict[str, None] = dict.fromkeys(scene.stuff)
    for thing in mentioned(scene):
        found[thing.name] = None
        found[f"{thing.color} {thing.name}"] = None
        if thing.pattern != "plain":
            found[f"{thing.pattern} {thing.name}"] = None
            found[f"{thing.pattern} {thing.color} {thing.name}"] = None
    return tuple(found)


class CaptionedScenes(Dataset):
    """Scene number i as the trainer sees it at its point of the curriculum.

    Web photographs mostly have one main subject; the first part of training is like that, later
    pictures hold more and smaller things.

    Args:
        length: number of samples of the whole run.
        size: side of the pictures in pixels.
        easy: share of the run spent on pictures with a single thing.
        start: first sample, when a run is resumed.
    """

    def __init__(self, length: int, size: int, easy: float = 0.2, start: int = 0) -> None:
        self.length, self.size, self.easy, self.start = length, size, easy, start

    def __len__(self) -> int:
        return self.length - self.start

    def __getitem__(self, i: int) -> Sample:
        i += self.start
        rng = np.random.default_rng([SPLITS["train"], i, 0])
        progress = i / self.length
        if progress < self.easy:
            zoom, num_things = rng.uniform(1.8, 3.0), (1, 1)
        else:
            zoom, num_things = rng.uniform(1.2, 2.8), (1, 3)
        scene = render((SPLITS["train"], i), self.size, zoom=zoom, num_things=num_things)
        pixels = scene.image[:, ::-1] if rng.random() < 0.5 else scene.image
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        return Sample(image, caption(scene, rng), sub_phrases(scene))


def collate(samples: list[Sample]) -> tuple[torch.Tensor, list[str], list[tuple[str, ...]]]:
    """Images (B, 3, H, W) uint8, captions, phrases."""
    return (
        torch.stack([s.image for s in samples]),
        [s.caption for s in samples],
        [s.phrases for s in samples],
    )


def phrase_bank(
    phrases: list[tuple[str, ...]], limit: int, rng: np.random.Generator
) -> tuple[list[str], torch.Tensor]:
    """The phrases to compare a batch with, and which are true of which image.

    Bare class names come first and always; phrases with attributes fill the rest at random.

    Returns:
        The bank of at most ``limit`` phrases, and (B, len(bank)) bool.
    """
    everything = list(dict.fromkeys(p for group in phrases for p in group))
    stuff_and_names = {group_name for group in phrases for group_name in _bare(group)}
    bare = [p for p in everything if p in stuff_and_names]
    other = [p for p in everything if p not in stuff_and_names]
    rng.shuffle(other)
    bank = (bare + other)[:limit]
    position = {p: i for i, p in enumerate(bank)}
    true = torch.zeros(len(phrases), len(bank), dtype=torch.bool)
    for row, group in enumerate(phrases):
        for phrase in group:
            if phrase in position:
                true[row, position[phrase]] = True
    return bank, true


def _bare(group: tuple[str, ...]) -> list[str]:
    """The phrases of one image that no other of its phrases is a part of the end of."""
    return [p for p in group if not any(p != q and p.endswith(" " + q) for q in group)]
