"""The classifier that is not trained: frozen CLIP's own features under the masks, against words."""

from __future__ import annotations

from typing import Protocol

import torch

from ovseg.heads.class_words import ClassWords, class_logits
from ovseg.heads.mask_pooling import resize_masks


class MaskEmbedder(Protocol):
    """What the classifier needs of a tower."""

    def embed_masked(self, features: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Embed what lies under masks (B, Q, h, w) of a map (B, D, h, w): (B, Q, E)."""
        ...


@torch.no_grad()
def out_of_vocabulary(
    tower: MaskEmbedder,
    features: torch.Tensor,
    masks: torch.Tensor,
    words: ClassWords,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Class logits of masks by the frozen tower.

    Source: FC-CLIP, section 3.3.

    Args:
        tower: the image tower the map comes from.
        features: (B, D, h, w), its last map.
        masks: (B, Q, h', w') logits; a position belongs to a mask where its logit is above 0 after
            the mask was brought to the size of the map.
        words: C classes.
        scale: the tower's factor on cosines.

    Returns:
        (B, Q, C) logits, and (B, Q) bool: whether a mask holds a position at all.
    """
    inside = resize_masks(masks, features.shape[-2:]) > 0
    logits = class_logits(tower.embed_masked(features, inside), words, scale)
    return logits, inside.flatten(2).any(-1)
