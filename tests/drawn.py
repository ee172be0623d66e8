"""Weights, words and pictures that anyone can draw again: by name, or by the number of a seed.

The recorded arrays hold what the authors' public code gave for these (`tools/record`), some for
what is drawn by name, some for what is drawn by number. Nothing here may change without recording
anew. Nothing of the package is imported, since the authors' code brings packages of its own.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

CLIP = {
    "name": "drawn-vit",
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 4, "width": 32, "head_width": 8, "patch_size": 8},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 2048,
        "width": 16,
        "heads": 2,
        "layers": 1,
        "bpe_file": "nano_bpe.txt.gz",
    },
}
DINO = {"img_size": 32, "patch_size": 4, "embed_dim": 24, "depth": 2, "num_heads": 2}
HEAD = {"width": 32, "dim": 12}
SIDE = 48  # of a window, in pixels
QUERIES = 5

#: Sizes of towers in the likeness of OpenAI's.
SIZES = {
    "small": {"embed_dim": 64, "width": 128, "layers": 12},
    "ViT-B/16": {"embed_dim": 512, "width": 768, "layers": 12},
}

# -- by name ---------------------------------------------------------------------------------------


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers that belong to a name; NumPy never changes this generator."""
    return np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)


def draw_weights(module: nn.Module, prefix: str) -> None:
    """Fill a module: wide enough that attention and correlations are far from uniform."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            numbers = draw(f"{prefix}.{name}", tuple(parameter.shape))
            if "pos" in name or "cls" in name or "class" in name:
                numbers *= 0.3
            elif parameter.ndim > 1:
                numbers *= np.prod(parameter.shape[1:]) ** -0.5
                if "in_proj" in name or "qkv" in name:
                    numbers[: 2 * len(numbers) // 3] *= 2
            elif name.endswith("bias"):
                numbers *= 0.1
            else:
                numbers = 1 + 0.2 * numbers
            parameter.copy_(torch.from_numpy(numbers))


def draw_images() -> torch.Tensor:
    """(2, 3, 48, 48) uint8: blotches of a few pixels."""
    coarse = torch.from_numpy(draw("images", (2, 3, 7, 7))).float()
    smooth = F.interpolate(coarse, (SIDE, SIDE), mode="bicubic")
    return (smooth * 50 + 128).clamp(0, 255).to(torch.uint8)


def draw_text() -> torch.Tensor:
    """(5, 16) unit rows, not far from each other, so that no class is certain everywhere."""
    width = CLIP["embed_dim"]
    text = draw("text", (1, width)) + 0.15 * draw("words", (QUERIES, width))
    return F.normalize(torch.from_numpy(text).float(), dim=-1)


# -- by number -------------------------------------------------------------------------------------


def draw_tower(visual: nn.Module, seed: int) -> None:
    """Draw the weights of open_clip's vision transformer so that attention is far from uniform."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(visual.named_parameters()):
            drawn = torch.randn(weight.shape, generator=generator)
            if "ln_" in name:
                weight.copy_(drawn * 0.1 + (1.0 if name.endswith("weight") else 0.0))
            elif name.endswith("bias"):
                weight.copy_(drawn * 0.1)
            elif name == "proj":
                weight.copy_(drawn * len(weight) ** -0.5)
            elif weight.ndim > 1 and name != "positional_embedding":
                weight.copy_(drawn * weight[0].numel() ** -0.5)
                if name.endswith("in_proj_weight"):  # q and k, so that attention is picky
                    weight[: 2 * weight.shape[1]] *= 1.7
            else:
                weight.copy_(drawn)


def draw_words(count: int, dim: int, seed: int) -> torch.Tensor:
    """Embeddings of words: (count, dim) unit rows."""
    return F.normalize(
        torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)), dim=-1
    )


def draw_picture(height: int, width: int, seed: int) -> torch.Tensor:
    """A (3, H, W) uint8 picture of flat regions with edges and some grain."""
    generator = torch.Generator().manual_seed(seed)
    blobs = torch.randn(1, 6, 7, 9, generator=generator)
    region = F.interpolate(blobs, (height, width), mode="bicubic")[0].argmax(0)
    colors = torch.randint(0, 256, (6, 3), generator=generator).float()
    grain = torch.randn(3, height, width, generator=generator) * 6
    return (colors[region].permute(2, 0, 1) + grain).clamp(0, 255).to(torch.uint8)
