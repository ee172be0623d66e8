"""Towers, pictures, boxes and words that the public code of CLIPSelf was run on.

Nothing of the package is imported, since the authors' code brings packages of its own. Nothing here
may change without recording anew.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable

import numpy as np
import torch
from PIL import Image
from torch import nn

#: Towers: open_clip's own vision transformer, and EVA02's.
KINDS = ("vit", "eva02")
SIZES = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 3, "heads": 4, "embed_dim": 16}
#: Side of the student's square, and of crops.
SIDE, CROP = 96, 32
#: Width and height of the pictures.
PICTURES = ((150, 100), (90, 130))
#: x, y, width, height; the last of each is too small or too large to count.
PROPOSALS = (
    ((10, 12, 60, 40), (70.5, 33.25, 79.5, 66.75), (0, 0, 20, 100), (5, 5, 4, 4)),
    ((1, 2, 88, 60), (30, 40, 20, 80), (44, 100, 46, 30)),
)
LIMITS = {"min_size": 8, "max_size": 90}
#: Rows and columns of the grids.
GRIDS = ((2, 3), (4, 2))
WORDS = 130
NUM_WORDS = 100
#: Word of each box, and the factor on cosines.
LABELS = ((3, 99, 3), (129, 0, 17))
LOGIT_SCALE = 12.5
#: Tensors whose gradients are compared, by our names.
GRADIENTS = {
    "vit": ("transformer.resblocks.0.mlp.c_fc.weight", "transformer.resblocks.2.ln_1.bias"),
    "eva02": ("trunk.blocks.0.mlp.fc1_g.weight", "trunk.blocks.2.attn.v_proj.bias"),
}


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers that belong to a name; NumPy never changes this generator."""
    return np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)


def fill(
    parameters: Iterable[tuple[str, nn.Parameter]],
    prefix: str,
    ours: Callable[[str], str] = lambda name: name,
) -> None:
    """Draw weights by our names of them, wide enough that attention is far from uniform."""
    with torch.no_grad():
        for name, parameter in parameters:
            name = ours(name)
            numbers = draw(f"{prefix}.{name}", tuple(parameter.shape))
            if any(word in name for word in ("pos", "cls", "class")):
                numbers *= 0.3
            elif parameter.ndim > 1:
                numbers *= np.prod(parameter.shape[1:]) ** -0.5
                if "in_proj" in name:
                    numbers[: 2 * len(numbers) // 3] *= 2
                elif "q_proj" in name or "k_proj" in name:
                    numbers *= 2
            elif name.endswith("bias"):
                numbers *= 0.1
            else:
                numbers = 1 + 0.2 * numbers
            parameter.copy_(torch.from_numpy(numbers))


def draw_picture(index: int) -> Image.Image:
    """Blotches of a few pixels, and grain."""
    width, height = PICTURES[index]
    coarse = Image.fromarray(
        (draw(f"picture{index}", (9, 7, 3)) * 50 + 128).clip(0, 255).astype(np.uint8)
    )
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    grain = draw(f"grain{index}", (height, width, 3)) * 8
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))


def draw_words() -> np.ndarray:
    """(WORDS, E) float32, not of unit length."""
    return draw("words", (WORDS, SIZES["embed_dim"])).astype(np.float32)


def thin(name: str, values: np.ndarray) -> np.ndarray:
    """The part of an array that is kept."""
    if name.startswith("image"):
        return values[:, ::7, ::7]
    if name.startswith("crops"):
        return values[:, :, ::5, ::5]
    if name.startswith("grad"):
        return values.ravel()[::11]
    return values
