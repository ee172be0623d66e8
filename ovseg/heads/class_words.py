"""The classes of a vocabulary as the heads see them: unit vectors of words, and whose they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.nn import functional as F


@dataclass(frozen=True)
class ClassWords:
    """Embeddings of the words of C classes.

    Attributes:
        embeddings: (N, E) float, unit rows.
        owners: (N,) int64, the class of each word; every class has at least one.
        num_classes: C.
    """

    embeddings: torch.Tensor
    owners: torch.Tensor
    num_classes: int

    def __len__(self) -> int:
        return self.num_classes

    def to(self, device: torch.device | str) -> ClassWords:
        """The same on another device."""
        return ClassWords(self.embeddings.to(device), self.owners.to(device), self.num_classes)


def class_logits(
    features: torch.Tensor, words: ClassWords, scale: torch.Tensor | float
) -> torch.Tensor:
    """Scaled cosines with classes; the best of its words speaks for a class.

    Args:
        features: (B, Q, E), of any length.
        words: classes.
        scale: factor on the cosines.

    Returns:
        (B, Q, C).
    """
    return best_words(scale * F.normalize(features, dim=-1) @ words.embeddings.mT, words)


def best_words(logits: torch.Tensor, words: ClassWords) -> torch.Tensor:
    """From logits of words (..., N) to those of classes (..., C): the largest of each."""
    if len(words.owners) == words.num_classes:
        return logits
    owners = words.owners.expand(logits.shape)
    best = logits.new_full((*logits.shape[:-1], words.num_classes), -torch.inf)
    return best.scatter_reduce(-1, owners, logits, "amax", include_self=False)


def seen_classes(known: Iterable[Iterable[str]], asked: Iterable[Iterable[str]]) -> torch.Tensor:
    """Which classes were trained: those that share a word with a class of the training vocabulary.

    Letter case does not matter.

    Args:
        known: the words of each class of the training vocabulary.
        asked: the words of each class that is asked for now.

    Returns:
        (C,) bool.
    """
    words = {word.casefold() for of_class in known for word in of_class}
    return torch.tensor([any(word.casefold() in words for word in of_class) for of_class in asked])
