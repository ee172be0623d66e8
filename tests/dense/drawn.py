"""Weights and pixels drawn by name and seed, so that other programs can draw the same ones.

Only NumPy's frozen generator is used: its numbers do not change between versions.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch

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


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers that belong to a name."""
    return np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)


def draw_weights(module: torch.nn.Module, prefix: str) -> None:
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
    smooth = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic")
    return (smooth * 50 + 128).clamp(0, 255).to(torch.uint8)


def draw_text() -> torch.Tensor:
    """(5, 16) unit rows, not far from each other, so that no class is certain everywhere."""
    width = CLIP["embed_dim"]
    text = draw("text", (1, width)) + 0.15 * draw("words", (QUERIES, width))
    return torch.nn.functional.normalize(torch.from_numpy(text).float(), dim=-1)
