"""Step 5 by clusters: patches that CLIP itself holds for alike vote for one class.

In the block before the last, patches of one thing resemble each other in q, k and v. What a patch
shares with the class token it shares with the whole picture: that part is taken away (the paper's
denoising of "global" patches). Patches whose remaining resemblances agree form clusters by density;
every cluster claims the pixels that resemble it most, and they all get its most frequent class.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.dense.decode import Labels, Naming, decode
from ovseg.dense.logit_map import LogitMap, Resized, WindowLogits
from ovseg.dense.picture import Picture
from ovseg.dense.windows import WholeImage
from ovseg.errors import ConfigError
from ovseg.refine.base import Refiner, whole_qkv
from ovseg.refine.clustering import dbscan, gram, median_filter
from ovseg.registry import MODELS

#: Cluster maps are enlarged by this much before their median is taken, over 2 * _SMOOTH - 1 pixels.
_SMOOTH = 4


@MODELS.register_module()
class CLIPtraseRefiner(Refiner):
    """Denoising, clustering and vote of CLIPtrase, for the labels of any method.

    The picture is read whole by the CLIP image tower, whatever windows the labels were made from:
    once more, unless the protocol reads it whole as well and it is no larger than
    ``max_patches``. Where no cluster is found labels stay as they are.

    Source: Shao et al., Explore the Potential of CLIP for Training-Free Open Vocabulary Semantic
    Segmentation, ECCV 2024, and its public code, with which it agrees.

    Args:
        encoder: name of a CLIP ViT; "clip" is the image tower.
        eps: greatest distance of neighbors, between rows of N resemblances. The authors take 0.7
            for the 196 patches of 224 pixels and 1.1 for the 441 of 336. None: 1.1 for 441
            patches, and growing as the square root of their number.
        min_samples: neighbors that make a cluster. The authors take 3 and 7. None: 7 for 441
            patches, and growing as their number.
        max_patches: larger pictures are shrunk for the clustering.

    Raises:
        ValueError: if a number is not positive.
    """

    qkv = (2,)

    def __init__(
        self,
        encoder: str = "clip",
        eps: float | None = None,
        min_samples: int | None = None,
        max_patches: int = 2304,
    ) -> None:
        super().__init__(encoder)
        for name, value in (
            ("eps", eps),
            ("min_samples", min_samples),
            ("max_patches", max_patches),
        ):
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        self.eps, self.min_samples, self.max_patches = eps, min_samples, max_patches

    def forward(
        self,
        logits: LogitMap,
        picture: Picture,
        naming: Naming,
        size: tuple[int, int],
        encoder: nn.Module | None,
        with_scores: bool = False,
    ) -> Labels:
        """Labels after the vote; see `Refiner.forward`."""
        logits = Resized(logits, size)
        found = naming.decode(logits)
        clusters = self.clusters(picture, encoder)
        if clusters is not None:
            clusters, device = Resized(clusters, size), naming.query_to_class.device
            found = vote(found.labels, clusters, naming.num_classes, device)
        if with_scores:
            found = dataclasses.replace(found, scores=naming.mean_probability(logits, found.labels))
        return found

    def clusters(self, picture: Picture, encoder: nn.Module) -> LogitMap | None:
        """How much every pixel resembles each cluster; None where there is no cluster."""
        pixels = picture.normalized(encoder)
        patch = encoder.patch_size
        patches = math.prod(-(-side // patch) for side in picture.size)
        if patches > self.max_patches:
            shrink = math.sqrt(self.max_patches / patches)
            size = tuple(max(1, int(side * shrink) // patch * patch) for side in picture.size)
            pixels = F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
        size = tuple(pixels.shape[-2:])
        (window,) = WholeImage()(*size, patch)
        state = picture.once(
            whole_qkv(encoder, 2, size),
            lambda: encoder.tokens(window.cut(pixels)[None], before=2, qkv=(2,)),
        )
        alike = denoised(resemblance(*state.qkv[2])[0], state.num_prefix)
        count = len(alike)
        eps = self.eps or 1.1 * math.sqrt(count / 441)
        cluster_of = dbscan(alike, eps, self.min_samples or max(1, round(count * 7 / 441)))
        number = int(cluster_of.max()) + 1
        if number == 0:
            return None
        cluster_of = torch.from_numpy(cluster_of).to(alike.device)
        maps = torch.stack([alike[cluster_of == c].mean(0) for c in range(number)])
        maps = smoothed(maps.view(number, *state.grid))
        # A map of clusters is one of queries, each of which is one cluster.
        each = torch.eye(number, device=maps.device)
        return WindowLogits([window], [maps.permute(1, 2, 0)], each, size)


def resemblance(*parts: torch.Tensor) -> torch.Tensor:
    """Mean cosine of q with q, k with k and v with v over the heads.

    Args:
        parts: q, k and v, each (B, heads, L, d).

    Returns:
        (B, L, L).
    """
    units = F.normalize(torch.stack(parts), dim=-1)
    joined = units.permute(1, 3, 0, 2, 4).flatten(2)
    return torch.stack([gram(rows) for rows in joined]) / (len(parts) * parts[0].shape[1])


def denoised(alike: torch.Tensor, num_prefix: int = 1) -> torch.Tensor:
    """What patches share beyond what they share with the class token.

    Args:
        alike: (P + N, P + N) resemblances, the class token first.
        num_prefix: P.

    Returns:
        (N, N), not negative.

    Raises:
        ConfigError: There is no class token.
    """
    if num_prefix == 0:
        raise ConfigError(
            "CLIPtrase compares patches with the class token, which this image tower does not "
            "have: take a CLIP with one, such as ViT-B-16."
        )
    return (alike[num_prefix:, num_prefix:] - alike[:1, num_prefix:]).clamp(min=0)


def smoothed(maps: torch.Tensor) -> torch.Tensor:
    """Maps (C, h, w) enlarged four times, and the median of about two patches taken."""
    size = tuple(_SMOOTH * side for side in maps.shape[-2:])
    maps = F.interpolate(maps[None], size, mode="bilinear", align_corners=False)[0]
    return torch.stack([median_filter(plane, 2 * _SMOOTH - 1) for plane in maps])


def vote(
    labels: torch.Tensor, clusters: LogitMap, num_classes: int, device: torch.device | str = "cpu"
) -> Labels:
    """Give each cluster's pixels their most frequent class, the first of equals.

    Args:
        labels: (H, W) int32.
        clusters: (K, H, W) map; a pixel belongs to the cluster that is largest there.
        num_classes: C.
        device: where the map of clusters is.

    Returns:
        Without scores.
    """
    # Naming clusters is naming classes.
    each = torch.arange(clusters.num_queries, device=device)
    found = decode(clusters, each, clusters.num_queries, scale=1.0)
    joint = found.labels * num_classes + labels
    counts = torch.bincount(joint.flatten(), minlength=clusters.num_queries * num_classes)
    winners = counts.view(clusters.num_queries, num_classes).argmax(1)
    voted = winners.to(labels.dtype).index_select(0, found.labels.flatten()).view(labels.shape)
    areas = found.areas.new_zeros(num_classes).index_add_(0, winners, found.areas)
    return Labels(voted, areas, None)
