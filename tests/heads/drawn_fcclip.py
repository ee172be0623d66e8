"""A small FC-CLIP with drawn weights, words and pictures, for comparison with the authors' code.

Only NumPy's frozen generator is used. Nothing here may change without recording anew
(tools/record/record_fcclip.py).
"""

from __future__ import annotations

import zlib

import numpy as np
import torch

#: The trained part. Few layers, queries and pixels, since a mask logit so near 0 that rounding
#: decides its sign changes all that follows.
SIZES = {
    "convnext": {"dim": 32, "hidden": 64, "layers": 3, "decoder_layers": 5},
    "resnet": {"dim": 64, "hidden": 64, "layers": 2, "decoder_layers": 4},
}
HEADS, QUERIES, FEEDFORWARD = 4, 14, 96
EMBED_DIM, LOGIT_SCALE = 32, 40.0
#: Chosen so that no mask logit is near 0, and there are several segments.
SALTS = {"convnext": 9, "resnet": 0}
ALPHA, BETA = 0.4, 0.8
OBJECT_THRESHOLD, OVERLAP_THRESHOLD, INSTANCES = 0.04, 0.15, 30

_TEXT = {
    "context_length": 77,
    "vocab_size": 2048,
    "width": 16,
    "heads": 2,
    "layers": 1,
    "bpe_file": "nano_bpe.txt.gz",
}
_VISION = {
    "convnext": {
        "timm_model_name": "test_convnext",
        "timm_pool": "",
        "timm_proj": "mlp",
        "image_size": 64,
    },
    "resnet": {
        "layers": [1, 1, 1, 1],
        "width": 16,
        "head_width": 32,
        "image_size": 64,
        "patch_size": None,
    },
}
#: Classes of training and of the test, in the authors' spelling; which of the latter are things.
TRAIN_CLASSES = ["cat,cats", "dog", "grass, lawn", "sky", "person,man,woman"]
TEST_CLASSES = ["puppy,dog", "cat", "tower", "sky-other,clouds", "lawn", "woman,lady,girl", "car"]
THINGS = [0, 1, 5, 6]
#: Sizes of the pictures as they are read, and those at which results are wanted.
PICTURES = [((64, 96), (150, 220)), ((59, 84), (40, 61))]


def clip_config(kind: str) -> dict:
    """Description of the CLIP whose image tower is of that kind."""
    return {
        "name": f"drawn-{kind}",
        "embed_dim": EMBED_DIM,
        "vision_cfg": dict(_VISION[kind]),
        "text_cfg": dict(_TEXT),
    }


def draw(name: str, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """Standard normal numbers that belong to a name."""
    seed = zlib.crc32(f"{name}{SALTS[kind]}".encode())
    return np.random.RandomState(seed).standard_normal(shape)


def draw_tensor(name: str, shape: tuple[int, ...], kind: str) -> torch.Tensor:
    """A parameter: wide enough that attention is far from uniform and masks have two sides."""
    numbers = draw(name, shape, kind)
    if name.endswith("logit_scale"):
        numbers = np.full(shape, 3.0)
    elif "sampling_offsets" in name:
        numbers *= 0.4 if name.endswith("weight") else 2.0
    elif "embed.weight" in name or "level_embed" in name or "feat.weight" in name:
        pass
    elif len(shape) > 1:
        numbers *= np.prod(shape[1:]) ** -0.5
        if "attention_weights" in name or "in_proj" in name:
            numbers *= 2.0
        if "mask_embed" in name:
            numbers *= 1.3
    elif name.endswith("bias"):
        numbers *= 0.1
    else:
        numbers = 1 + 0.2 * numbers
    return torch.from_numpy(numbers).float()


def draw_module(module: torch.nn.Module, prefix: str, kind: str) -> None:
    """Fill a module by the names of its parameters."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(draw_tensor(f"{prefix}.{name}", tuple(parameter.shape), kind))


def draw_words(count: int, kind: str) -> torch.Tensor:
    """(count, E) unit rows."""
    rows = torch.from_numpy(draw("words", (count, EMBED_DIM), kind)).float()
    return torch.nn.functional.normalize(rows, dim=-1)


def draw_pictures(kind: str) -> list[torch.Tensor]:
    """(3, H, W) uint8 each: blotches."""
    coarse = torch.from_numpy(draw("pictures", (len(PICTURES), 3, 7, 9), kind)).float()
    return [
        (torch.nn.functional.interpolate(one[None], size, mode="bicubic")[0] * 60 + 128)
        .clamp(0, 255)
        .to(torch.uint8)
        for one, (size, _) in zip(coarse, PICTURES, strict=True)
    ]


def thinned(name: str, array: np.ndarray) -> np.ndarray:
    """The part of a recorded result that is kept."""
    if name.startswith(("mask_features", "level", "masks", "semantic")):
        return array[..., ::3, ::5]
    if name.startswith("instance_masks"):
        return np.packbits(array[:, ::5, ::7], axis=None)
    if name.startswith("panoptic_ids"):
        return array[::2, ::3].astype(np.uint8)
    return array
