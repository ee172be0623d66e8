"""Step 4 with the class token's opinion: what a whole window shows counts at its patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from ovseg.dense.windows import Window


@dataclass(frozen=True)
class ClassTokenFactor:
    """Logits of patches times those of the class token of their window, query by query.

    CLIPtrase names PASCAL VOC without background so. Both factors carry the logit scale; the
    product is given without one of them, as naming expects cosines.

    Source: the public code of Shao et al., Explore the Potential of CLIP for Training-Free Open
    Vocabulary Semantic Segmentation, ECCV 2024.

    Attributes:
        tokens: for windows, (E,) unit features of the class token.
        text: (Q, E) unit rows.
        scale: logit scale.
        then: what is to be made of the products of a window.
    """

    tokens: Mapping[Window, torch.Tensor]
    text: torch.Tensor
    scale: float
    then: Callable[[torch.Tensor, Window], torch.Tensor] | None = None

    def __call__(self, cosines: torch.Tensor, window: Window) -> torch.Tensor:
        """(Q, h, w) products of (Q, h, w) cosines."""
        factor = self.text @ self.tokens[window] * self.scale
        product = cosines * factor[:, None, None]
        return product if self.then is None else self.then(product, window)
