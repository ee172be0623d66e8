"""Contrastive losses that compare pictures, and patches of pictures, with words.

Many scenes share classes, so "my caption against all others" would punish true pairs. Every loss
here therefore has several positives: the phrases true of a picture, as its caption says.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def multi_positive(logits: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Softmax cross-entropy in both directions with all true pairs as equal targets.

    Args:
        logits: (B, P) scaled similarities.
        true: (B, P) bool.
    """
    return (_rows(logits, true) + _rows(logits.T, true.T)) / 2


def _rows(logits, true):
    target = true.float()
    target = target / target.sum(1, keepdim=True).clamp(min=1)
    loss = -(target * logits.log_softmax(1)).sum(1)
    return loss.sum() / true.any(1).sum().clamp(min=1)


def pooled_similarity(patches: torch.Tensor, words: torch.Tensor, sharpness: float) -> torch.Tensor:
    """How well each phrase is found anywhere in a picture: (B, P) cosine.

    Patches are pooled by their own similarity to the phrase, as in PACL (Mukhoti et al., 2023,
    eq. 2): a phrase need only be true of the part of the picture that it speaks of.

    Args:
        patches: (B, N, E) unit rows.
        words: (P, E) unit rows.
        sharpness: inverse temperature of the pooling weights.
    """
    similarity = patches @ words.T
    return ((sharpness * similarity).softmax(1) * similarity).sum(1)


def explained(
    patches: torch.Tensor, words: torch.Tensor, true: torch.Tensor, scale
) -> torch.Tensor:
    """Every patch must be one of the classes its picture's caption speaks of.

    The negative log of the probability that a patch gives to the picture's own words, averaged
    over patches. The caption does not say which patch is which.

    Args:
        patches: (B, N, E) unit rows.
        words: (P, E) unit rows of class names.
        true: (B, P) bool.
        scale: logit scale.
    """
    log_p = (scale * patches @ words.T).log_softmax(-1)
    own = log_p.masked_fill(~true[:, None], -torch.inf).logsumexp(-1)
    return -own[true.any(1)].mean()


def unit(features: torch.Tensor) -> torch.Tensor:
    """Rows of length one, in float32."""
    return F.normalize(features.float(), dim=-1)
