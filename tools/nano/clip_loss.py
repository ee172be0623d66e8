"""Contrastive losses that compare pictures, and patches of pictures, with words.

Many scenes share classes, so "my caption against all others" would punish true pairs. Every loss
here therefore has several positives: the phrases true of a picture, as its caption says.
"""

from __future__ import annotations

import math

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


def shares(true: torch.Tensor, is_thing: torch.Tensor, thing_share: float) -> torch.Tensor:
    """What part of a picture each word of its caption is expected to cover, knowing no more.

    Things get ``thing_share`` each, but no more than two thirds together; stuff gets the rest in
    equal parts (all of it where there are no things).

    Args:
        true: (B, P) bool.
        is_thing: (P,) bool.
        thing_share: part of the picture.

    Returns:
        (B, P) float32, 0 for words that are not true; rows sum to 1 where any word is.
    """
    things, stuff = true & is_thing, true & ~is_thing
    num_things, num_stuff = things.sum(1, keepdim=True), stuff.sum(1, keepdim=True)
    covered = (thing_share * num_things).clamp(max=2 / 3)
    covered = torch.where(num_stuff > 0, covered, torch.ones_like(covered))
    each_thing = covered / num_things.clamp(min=1)
    each_stuff = (1 - covered) / num_stuff.clamp(min=1)
    return things * each_thing + stuff * each_stuff


@torch.no_grad()
def assign(logits: torch.Tensor, share: torch.Tensor, rounds: int = 8) -> torch.Tensor:
    """Share the patches of each picture out among its words (Sinkhorn's iteration).

    Args:
        logits: (B, N, P) scaled similarities.
        share: (B, P) part of the patches each word gets; rows sum to 1.
        rounds: of normalizing words and patches in turn.

    Returns:
        (B, N, P) float32, rows over P sum to 1: how much of a patch each word explains.
    """
    log_plan = logits.masked_fill(share[:, None] == 0, -torch.inf)
    log_share = share.log()[:, None] + math.log(logits.shape[1])
    for _ in range(rounds):
        over_patches = log_plan.logsumexp(1, keepdim=True)
        log_plan = torch.where(share[:, None] > 0, log_plan - over_patches + log_share, -torch.inf)
        log_plan = log_plan.log_softmax(2)
    return log_plan.exp()


def explained(
    patches: torch.Tensor,
    words: torch.Tensor,
    share: torch.Tensor,
    scale: torch.Tensor,
    sharpness: float,
) -> torch.Tensor:
    """Every patch must be one of the classes its picture's caption speaks of, and each class found.

    The caption does not say which patch is which. Left to themselves patches on things settle for
    the ground below, which is learned first and true as well; so the patches are shared out among
    the words (`assign`), and cross-entropy to all words of the batch pulls each to its own.

    Args:
        patches: (B, N, E) unit rows.
        words: (P, E) unit rows of class names.
        share: (B, P) expected parts of the picture, see `shares`; rows of zeros do not count.
        scale: logit scale.
        sharpness: factor on the logits that patches are shared out by.
    """
    spoken_of = share.sum(1) > 0
    patches, share = patches[spoken_of], share[spoken_of]
    logits = scale * patches @ words.T
    return -(assign(sharpness * logits, share) * logits.log_softmax(-1)).sum(-1).mean()


def regions(
    features: torch.Tensor, plan: torch.Tensor, share: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What each word of a caption was given of its picture, pooled as a mask would pool it.

    Args:
        features: (B, N, D).
        plan: (B, N, P), see `assign`.
        share: (B, P), see `shares`.

    Returns:
        The mean features (R, D) float32 of all true words of all pictures, and which word each
        of them is (R,) int64.
    """
    image, word = torch.nonzero(share > 0, as_tuple=True)
    weight = plan.transpose(1, 2)[image, word]
    weight = weight / weight.sum(1, keepdim=True)
    return torch.einsum("rn,rnd->rd", weight, features.float()[image]), word


def unit(features: torch.Tensor) -> torch.Tensor:
    """Rows of length one, in float32."""
    return F.normalize(features.float(), dim=-1)
