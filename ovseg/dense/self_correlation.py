"""Step 2 by self-correlation: every token attends to those whose q (or k, or v) resembles its own.

In CLIP's last block a patch asks (q) for what the class token needs and is answered (k) from
anywhere. Correlating one of q, k, v with itself makes patches of one thing attend to each other
and leaves the block's weights as they are. SCLIP, ClearCLIP and CLIPtrase are three settings of it;
NACLIP adds a sense of place (`ovseg.dense.neighborhood`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from ovseg.dense.attention import MixingRule
from ovseg.registry import MODELS

KINDS = ("q", "k", "v")


@MODELS.register_module()
class SelfCorrelation(MixingRule):
    """Sum of the attentions softmax(x x^T scale) v for x among q, k and v of the block.

    The sum is not a mean: with two kinds every row of weights adds up to 2, as in SCLIP and
    CLIPtrase. Where the residual is kept this says how much the attention counts beside it.

    Args:
        kinds: which of "q", "k" and "v" are correlated with themselves.
        residual: keep the block's residual connection around its attention.
        mlp: keep the block's MLP (with its own residual).

    Raises:
        ValueError: if ``kinds`` is empty or names anything else.
    """

    def __init__(
        self, kinds: Sequence[str] = KINDS, residual: bool = True, mlp: bool = True
    ) -> None:
        super().__init__(residual, mlp)
        self.kinds = tuple(kinds)
        if not self.kinds or not set(self.kinds) <= set(KINDS):
            raise ValueError(f"kinds must be some of {', '.join(KINDS)}, got {kinds!r}")

    def mix(self, q, k, v, scale, state):
        """Values weighted by the correlations; no (N, N) matrix is held."""
        of = {"q": q, "k": k, "v": v}

        def one(image: int) -> torch.Tensor:
            values = v[image : image + 1]
            mixed = torch.zeros_like(values)
            for kind in self.kinds:
                x = of[kind][image : image + 1]
                mixed += F.scaled_dot_product_attention(x, x, values, scale=scale)
            return mixed

        # One image at a time: an image's last digits must not depend on its batch.
        return torch.cat([one(image) for image in range(len(v))])


@MODELS.register_module()
class SCLIPAttention(SelfCorrelation):
    """SCLIP's correlative self-attention: q with q plus k with k.

    Source: Wang et al., SCLIP: Rethinking Self-Attention for Dense Vision-Language Inference,
    ECCV 2024. The authors' code keeps the residual and the MLP.
    """

    def __init__(self, residual: bool = True, mlp: bool = True) -> None:
        super().__init__(("q", "k"), residual, mlp)


@MODELS.register_module()
class ClearCLIPAttention(SelfCorrelation):
    """ClearCLIP: q with q, and nothing but the attention's own output.

    What the residual carries along is global and drowns the local part; the paper's point is to
    leave it out, and the MLP with it.

    Source: Lan et al., ClearCLIP: Decomposing CLIP Representations for Dense Vision-Language
    Inference, ECCV 2024.

    Args:
        kinds: what is correlated with itself; the authors' choice is q.
        residual: the authors' ``ignore_residual=False`` keeps both residual and MLP.
        mlp: likewise.
    """

    def __init__(
        self, kinds: Sequence[str] = ("q",), residual: bool = False, mlp: bool = False
    ) -> None:
        super().__init__(kinds, residual, mlp)


@MODELS.register_module()
class CLIPtraseAttention(SelfCorrelation):
    """CLIPtrase's recalibrated self-correlation: q with q, k with k and v with v.

    Without the class token's own question nothing pulls patches towards the few "global" ones that
    answer it. CLIPtrase's clustering and vote are a refiner, `ovseg.refine.CLIPtraseRefiner`.

    Source: Shao et al., Explore the Potential of CLIP for Training-Free Open Vocabulary Semantic
    Segmentation, ECCV 2024. The authors' code keeps the residual and the MLP.
    """

    def __init__(self, residual: bool = True, mlp: bool = True) -> None:
        super().__init__(KINDS, residual, mlp)
