"""What the trained classifier says, and what frozen CLIP says, joined by a geometric mean."""

from __future__ import annotations

import torch


def geometric_ensemble(
    trained: torch.Tensor,
    frozen: torch.Tensor,
    seen: torch.Tensor,
    alpha: float = 0.4,
    beta: float = 0.8,
    valid: torch.Tensor | None = None,
) -> torch.Tensor:
    """Class probabilities of masks.

    ``p_trained^(1 - a) * p_frozen^a``, where ``a`` is ``alpha`` for classes that were trained and
    ``beta`` for others, brought to sum 1 over the classes and multiplied with the probability that
    the mask has a class at all, which the trained classifier alone decides. Computed from
    logarithms, so that no probability vanishes on the way.

    Source: FC-CLIP, equation 8.

    Args:
        trained: (..., C + 1) logits of the in-vocabulary classifier; the last is "no class".
        frozen: (..., C) logits of the out-of-vocabulary classifier.
        seen: (C,) bool, see `ovseg.heads.class_words.seen_classes`.
        alpha: weight of the frozen classifier for seen classes, 0 to 1.
        beta: its weight for unseen classes.
        valid: (...,) bool: masks whose frozen features mean something; the trained classifier
            decides alone on others. None: all of them.

    Returns:
        (..., C + 1) probabilities that sum to 1; the last is "no class".
    """
    share = torch.where(seen, alpha, beta).to(trained.dtype)
    if valid is not None:
        share = share * valid[..., None].to(share.dtype)
        # Features of a mask without a place may be anything, even not a number.
        frozen = frozen.masked_fill(~valid[..., None], 0.0)
    logs = trained[..., :-1].log_softmax(-1), frozen.log_softmax(-1)
    joined = ((1 - share) * logs[0] + share * logs[1]).softmax(-1)
    void = trained.softmax(-1)[..., -1:]
    return torch.cat([joined * (1 - void), void], dim=-1)
