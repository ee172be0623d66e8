"""Student and teacher: the package's own DINO encoder with a projection head."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.encoders.dino import DINO, FeatureState
from ovseg.encoders.dino_architectures import get_dino_architecture
from ovseg.encoders.position import resize_position_embedding


class Head(nn.Module):
    """DINO's projection head: an MLP, unit length, and prototypes of unit length.

    Args:
        width: of the tokens.
        prototypes: K.
        hidden: width of the MLP.
        bottleneck: width of what is compared with prototypes.
    """

    def __init__(
        self, width: int, prototypes: int, hidden: int = 256, bottleneck: int = 96
    ) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, bottleneck))
        self.prototypes = nn.Parameter(torch.randn(prototypes, bottleneck))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Cosines with the prototypes: (..., K)."""
        x = F.normalize(self.mlp(x).float(), dim=-1, eps=1e-6)
        return x @ F.normalize(self.prototypes, dim=-1).T


class Network(nn.Module):
    """An encoder, a token that stands for hidden patches, and the head of the class token.

    Args:
        model: a packaged description of a DINO.
        prototypes: of the head.
        more: blocks behind those of the model. They belong to the head: what they do for the class
            token makes patches worse, and `encoder_of` leaves them away.
    """

    def __init__(self, model: str, prototypes: int, more: int = 0) -> None:
        super().__init__()
        depth = get_dino_architecture(model).overrides["depth"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RandomWeightsWarning)
            self.dino = DINO(
                model, pretrained=None, overrides={"depth": depth + more}, frozen=False
            )
        for block in self.dino.vit.blocks:
            # On a CPU the backward pass of the fused product takes twice the time of the plain one.
            block.attn.fused_attn = False
        width = self.dino.embed_dim
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.head = Head(width, prototypes)

    def forward(
        self, images: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Normed class tokens, and patches as they enter the last block.

        Args:
            images: (B, 3, H, W), 0 to 255.
            mask: (B, N) bool, patches whose token is hidden; their rims still reach neighbors
                through the convolutions in front.

        Returns:
            (B, D) and (B, N, D). What the last block makes of patches is never asked for, which
            spares most of it.
        """
        dino, vit = self.dino, self.dino.vit
        mean, std = (
            torch.tensor(v, device=images.device).view(3, 1, 1) for v in (dino.mean, dino.std)
        )
        x = vit.patch_embed((images / 255 - mean) / std)
        grid = x.shape[1:3]
        x = x.flatten(1, 2)
        if mask is not None:
            x = torch.where(mask[..., None], self.mask_token.to(x.dtype), x)
        table = resize_position_embedding(vit.pos_embed, grid, dino.position)
        x = torch.cat([vit.cls_token.expand(len(x), -1, -1), x.float()], 1) + table
        x = vit.blocks[:-1](x)
        return vit.norm(class_token_after(vit.blocks[-1], x)), x[:, 1:]


def class_token_after(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The class token (B, D) behind a block of timm for tokens (B, 1 + N, D) in front of it."""
    attention, own = block.attn, x[:, :1]
    width = x.shape[-1]
    normed = block.norm1(x)
    weight, bias = attention.qkv.weight, attention.qkv.bias
    q = F.linear(normed[:, :1], weight[:width], bias[:width])
    k, v = F.linear(normed, weight[width:], bias[width:]).chunk(2, -1)
    q, k, v = (t.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for t in (q, k, v))
    mixed = (q @ k.mT * attention.scale).softmax(-1) @ v
    own = own + attention.proj(mixed.transpose(1, 2).flatten(2))
    return (own + block.mlp(block.norm2(own)))[:, 0]


@torch.no_grad()
def encoder_of(network: Network, model: str) -> DINO:
    """A copy of the model without what training added behind it.

    Its final norm is a new one, since the network's has learned to scale what is left away.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        dino = DINO(model, pretrained=None)
    trained = network.dino.vit.state_dict()
    own = dino.vit.state_dict()
    dino.vit.load_state_dict(
        {name: own[name] if name.startswith("norm.") else trained[name] for name in own}
    )
    return dino.to(network.mask_token.device)


@torch.no_grad()
def states_of(dino: DINO, images: np.ndarray, batch: int = 64) -> Iterator[FeatureState]:
    """What a DINO makes of images (B, H, W, 3) uint8, so many at a time."""
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (dino.mean, dino.std))
    for start in range(0, len(images), batch):
        x = torch.from_numpy(images[start : start + batch]).permute(0, 3, 1, 2) / 255
        yield dino.features(((x - mean) / std).to(dino.device))


def teacher_of(student: Network) -> Network:
    """A copy that gradients do not reach."""
    return copy.deepcopy(student).requires_grad_(False)


@torch.no_grad()
def follow(teacher: Network, student: Network, momentum: float) -> None:
    """Move the teacher's weights towards the student's."""
    torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 1 - momentum)
