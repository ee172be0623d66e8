"""Step 4 on patches: probabilities before the map is enlarged, where a protocol wants it so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from ovseg.dense.windows import Window


@dataclass(frozen=True)
class PatchNaming:
    """From cosines of the patches of a window to probabilities of queries.

    CLIP-DINOiser takes the softmax at its patches: what is enlarged and averaged over windows are
    probabilities. Others take it at the pixels, after that.

    A patch becomes background where two things come together: no class is as probable as
    ``threshold``, and it shows no thing.

    Attributes:
        scale: logit scale.
        background: index of a query of the background class; needed for ``threshold``.
        threshold: certainty that keeps a patch's class in any case; 0 asks for no foreground.
        foreground: for windows, (h, w) probabilities that patches show a thing.
    """

    scale: float
    background: int | None = None
    threshold: float = 0.0
    foreground: Mapping[Window, torch.Tensor] = field(default_factory=dict)

    def __call__(self, cosines: torch.Tensor, window: Window) -> torch.Tensor:
        """(Q, h, w) probabilities, of (Q, h, w) cosines. Those of the background may be set to 1.

        The probabilities of a patch that was made background no longer sum to 1.
        """
        probabilities = (cosines * self.scale).softmax(0)
        if self.threshold > 0:
            thing = self.foreground[window]
            if thing.shape != cosines.shape[1:]:
                thing = F.interpolate(
                    thing[None, None], cosines.shape[1:], mode="bilinear", align_corners=False
                )[0, 0]
            uncertain = probabilities.amax(0) < self.threshold
            probabilities[self.background].masked_fill_(uncertain & (thing <= 0.5), 1.0)
        return probabilities
