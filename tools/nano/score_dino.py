"""How well a DINO tells classes and regions of the procedural scenes apart, beside raw pixels.

    python tools/nano/score_dino.py                      # the packaged weights on the benchmark

Scenes of 256 pixels are brought to 128, as the nano methods read them. Two questions are asked of
every kind of feature, and of the pixels of the same patches:

- k-NN: the share of held-out patches (``val`` scenes) that the 20 most similar patches of ``train``
  scenes name rightly. A patch's class is the one that covers most of it. As many patches of each
  of the classes as there are, up to a number, in the bank; the score is the mean over classes.
- AUC: within one image, how often a pair of patches of one segment (a thing, or a region of stuff)
  is more similar than a pair of patches of two; 0.5 is chance. Mean over images, for all pairs;
  for pairs with a thing's patch; and for pairs at most two patches apart, where boundaries are.

This is the only place of the recipe that reads a label, and nothing is learned from it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from dino_data import cut, reduced
from dino_model import states_of
from torch.nn import functional as F

from ovseg.datasets.scenes.classes import CLASSES, STUFF, VOID
from ovseg.datasets.scenes.render import render
from ovseg.datasets.scenes.splits import SPLITS
from ovseg.encoders.dino import DINO

KINDS = ("tokens", "q", "k", "v")
PIXELS = ("pixels", "pixels_3x3")

#: Gives (B, N, D) for images (B, H, W, 3) uint8.
Features = Callable[[np.ndarray], torch.Tensor]


@dataclass(frozen=True)
class Patches:
    """Labelled pictures: ``images`` (B, H, W, 3) uint8, ``classes`` and ``segments`` (B, h, w)."""

    images: np.ndarray
    classes: np.ndarray
    segments: np.ndarray


def labelled_scenes(
    split: str, count: int, patch: int, size: int = 128, window: int | None = None
) -> Patches:
    """Scenes of the benchmark's kind, whole or cut into windows.

    Args:
        split: a name of `SPLITS`.
        count: scenes.
        patch: side of a patch in pixels.
        size: side that scenes of twice as many pixels are brought to.
        window: side of the windows, side by side; None for whole scenes.
    """
    images, classes, segments = [], [], []
    for i in range(count):
        scene = render((SPLITS[split], i), 2 * size)
        images.append(reduced(scene.image, size))
        semantic = scene.semantic.astype(np.int64)
        # One number for each thing, and for each region of stuff.
        segment = np.where(scene.instances > 0, 1000 + scene.instances, semantic)
        segments.append(_most(segment, 2 * patch))
        classes.append(_most(semantic, 2 * patch))
    found = Patches(np.stack(images), np.stack(classes), np.stack(segments))
    if window is None:
        return found
    return Patches(
        cut(found.images, window),
        cut(found.classes, window // patch),
        cut(found.segments, window // patch),
    )


def _most(labels: np.ndarray, side: int) -> np.ndarray:
    """The label that covers most of each ``side`` x ``side`` cell."""
    height, width = labels.shape[0] // side, labels.shape[1] // side
    cells = labels.reshape(height, side, width, side).swapaxes(1, 2).reshape(height, width, -1)
    counts = (cells[..., None] == cells[..., None, :]).sum(-1)
    best = counts.argmax(-1)
    return np.take_along_axis(cells, best[..., None], -1)[..., 0]


def dino_features(dino: DINO, images: np.ndarray, batch: int = 64) -> dict[str, torch.Tensor]:
    """All kinds of features of images (B, H, W, 3) uint8: each (B, N, D), unit rows."""
    found = {kind: [] for kind in KINDS}
    for state in states_of(dino, images, batch):
        for kind in KINDS:
            x = state.map(kind).flatten(2).mT
            found[kind].append(F.normalize(x, dim=-1).cpu())
    return {kind: torch.cat(parts) for kind, parts in found.items()}


def pixel_features(images: np.ndarray, patch: int, around: int = 0) -> torch.Tensor:
    """The pixels of each patch and of ``around`` patches on each side: (B, N, D), 0..1."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    x = F.pad(x, [around * patch] * 4, mode="replicate")
    return F.unfold(x, (2 * around + 1) * patch, stride=patch).mT


def all_features(dino: DINO, images: np.ndarray) -> dict[str, torch.Tensor]:
    """Every kind that is compared."""
    return {
        "pixels": pixel_features(images, dino.patch_size),
        "pixels_3x3": pixel_features(images, dino.patch_size, 1),
        **dino_features(dino, images),
    }


# -- k-NN --------------------------------------------------------------------------------------


def balanced(classes: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Numbers of at most ``most`` patches of each class, drawn at random; never of void."""
    rng = np.random.default_rng(seed)
    flat = classes.ravel()
    drawn = []
    for label in range(len(CLASSES)):
        members = np.flatnonzero(flat == label)
        drawn.append(rng.permutation(members)[:most])
    return np.sort(np.concatenate(drawn))


def knn_accuracy(
    bank: torch.Tensor,
    bank_classes: torch.Tensor,
    queries: torch.Tensor,
    query_classes: torch.Tensor,
    k: int = 20,
) -> dict[str, float]:
    """Percent of queries that the majority of their k nearest rows of the bank names rightly.

    Distances are Euclidean: for unit rows that is the order of the cosine. Means over the classes
    that the queries hold; also over stuff and over things alone.
    """
    right = []
    norms = bank.square().sum(1)
    for rows in queries.split(2048):
        distance = norms - 2 * rows @ bank.T
        near = distance.topk(k, largest=False).indices
        votes = F.one_hot(bank_classes[near], len(CLASSES)).sum(1)
        right.append(votes.argmax(1))
    right = torch.cat(right) == query_classes
    mean = {
        c: right[query_classes == c].float().mean().item() for c in query_classes.unique().tolist()
    }
    parts = {
        "all": list(mean.values()),
        "stuff": [m for c, m in mean.items() if c < len(STUFF)],
        "things": [m for c, m in mean.items() if c >= len(STUFF)],
    }
    return {
        part: round(100 * float(np.mean(values)), 1) for part, values in parts.items() if values
    }


def knn_scores(
    dino: DINO, bank: Patches, queries: Patches, bank_most: int = 400, query_most: int = 200
) -> dict[str, dict[str, float]]:
    """`knn_accuracy` of every kind of feature."""
    chosen = balanced(bank.classes, bank_most, 0), balanced(queries.classes, query_most, 1)
    labels = [
        torch.from_numpy(p.classes.ravel()[i]) for p, i in zip((bank, queries), chosen, strict=True)
    ]
    sides = [
        {kind: x.flatten(0, 1)[i] for kind, x in all_features(dino, p.images).items()}
        for p, i in zip((bank, queries), chosen, strict=True)
    ]
    return {
        kind: knn_accuracy(sides[0][kind], labels[0], sides[1][kind], labels[1])
        for kind in (*PIXELS, *KINDS)
    }


# -- AUC ---------------------------------------------------------------------------------------


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Probability that a positive exceeds a negative; ties count half."""
    both = np.concatenate([positive, negative])
    order = np.unique(both, return_inverse=True)[1]
    counts = np.bincount(order)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[order]
    n, m = len(positive), len(negative)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def _pairs(segments: np.ndarray, most: int, rng) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Pairs of patches of an image by subset: its name and two arrays of patch numbers."""
    width = segments.shape[1]
    flat = segments.ravel()
    a, b = np.triu_indices(len(flat), 1)
    named = (flat[a] != VOID) & (flat[b] != VOID)
    near = np.maximum(abs(a // width - b // width), abs(a % width - b % width)) <= 2
    things = (flat[a] >= 1000) | (flat[b] >= 1000)
    for name, chosen in (("all", named), ("things", named & things), ("near", named & near)):
        index = np.flatnonzero(chosen)
        if len(index) > most:
            index = rng.choice(index, most, replace=False)
        yield name, a[index], b[index]


def auc_scores(features: dict[str, torch.Tensor], segments: np.ndarray, most: int = 20000) -> dict:
    """Mean AUC in percent of cosine similarity over images that hold two segments at least.

    Pixels are compared by their distance instead, which serves them better.
    """
    rng = np.random.default_rng(2)
    found: dict[str, dict[str, list[float]]] = {kind: {} for kind in features}
    for i, image in enumerate(segments):
        for name, a, b in _pairs(image, most, rng):
            same = image.ravel()[a] == image.ravel()[b]
            if same.all() or not same.any():
                continue
            for kind, x in features.items():
                if kind in PIXELS:
                    likeness = -torch.cdist(x[i], x[i])[a, b].numpy()
                else:
                    likeness = (x[i] @ x[i].T)[a, b].numpy()
                found[kind].setdefault(name, []).append(auc(likeness[same], likeness[~same]))
    return {
        kind: {name: round(100 * float(np.mean(v)), 1) for name, v in names.items()}
        for kind, names in found.items()
    }


def scores(
    dino: DINO, split: str, bank_scenes: int, query_scenes: int, auc_scenes: int, whole: bool = True
) -> dict[str, dict]:
    """Everything, in windows of 64 pixels and (with ``whole``) on scenes of 128 at once."""
    result = {}
    for name, window in (("windows_64", 64), ("whole_128", None))[: 2 if whole else 1]:
        bank = labelled_scenes("train", bank_scenes, dino.patch_size, window=window)
        queries = labelled_scenes(split, query_scenes, dino.patch_size, window=window)
        result[f"knn_{name}"] = knn_scores(dino, bank, queries)
        few = auc_scenes * (len(queries.images) // query_scenes)
        features = all_features(dino, queries.images[:few])
        result[f"auc_{name}"] = auc_scores(features, queries.segments[:few])
    return result


def check(dino: DINO, count: int) -> dict[str, float]:
    """A quick look while training, at ``check`` scenes in windows: k-NN and AUC of each kind."""
    bank = _kept("train", count, dino.patch_size)
    queries = _kept("check", count // 2, dino.patch_size)
    knn = knn_scores(dino, bank, queries)
    few = slice(0, count)  # a quarter of the queries' windows: each scene has four
    pairs = auc_scores(all_features(dino, queries.images[few]), queries.segments[few], 5000)
    found = {}
    for kind in ("pixels", "tokens", "v"):
        found |= {f"{kind}_knn": knn[kind]["all"], f"{kind}_knn_things": knn[kind]["things"]}
    for kind in ("pixels", *KINDS):
        # A handful of scenes may hold no pair of some subset.
        found |= {f"{kind}_auc_{part}": value for part, value in pairs[kind].items()}
    return found


@lru_cache(maxsize=2)
def _kept(split: str, count: int, patch: int) -> Patches:
    return labelled_scenes(split, count, patch, window=64)


def table(result: dict[str, dict]) -> str:
    """The scores as lines of text."""
    lines = []
    for part, kinds in result.items():
        columns = list(next(iter(kinds.values())))
        lines.append(f"{part:16}" + "".join(f"{c:>9}" for c in columns))
        for kind, row in kinds.items():
            lines.append(f"  {kind:14}" + "".join(f"{row[c]:9.1f}" for c in columns))
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nano-dino-8")
    parser.add_argument("--weights", help="a file; the packaged weights if left out")
    parser.add_argument("--split", default="val", help="the scenes asked about")
    parser.add_argument("--bank-scenes", type=int, default=400)
    parser.add_argument("--query-scenes", type=int, default=200)
    parser.add_argument("--auc-scenes", type=int, default=100)
    parser.add_argument("--out", type=Path, help="a JSON file to write the scores to")
    args = parser.parse_args(argv)
    dino = DINO(args.model, pretrained="ovseg", weights=args.weights)
    result = scores(dino, args.split, args.bank_scenes, args.query_scenes, args.auc_scenes)
    print(table(result))
    if args.out:
        args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
