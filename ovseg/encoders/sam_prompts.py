"""SAM's coordinates and prompts: pure functions around the frame of its square input.

SAM resizes an image so that its longest side fills the square input and pads the rest right and
below. Prompts are given in that frame; masks come out at a quarter of it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["check_prompts", "fit_longest_side", "scale_coords", "upscale_masks"]


def fit_longest_side(size: tuple[int, int], target: int) -> tuple[int, int]:
    """Give the size at which an image enters SAM.

    Agrees with ``segment_anything.utils.transforms.ResizeLongestSide``: both sides are scaled by
    the same factor and rounded half up.

    Args:
        size: (height, width) in pixels, each at least 1.
        target: Length of the longest side.

    Returns:
        (height, width); at least 1 each, so that a very thin image keeps a row.
    """
    height, width = size
    scale = target / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def scale_coords(coords: Tensor, original_size: tuple[int, int], target: int) -> Tensor:
    """Bring points, or boxes, from an image into the frame of SAM's input.

    Args:
        coords: (..., 2) x, y or (..., 4) x1, y1, x2, y2, in pixels of the image.
        original_size: (height, width) of the image.
        target: Length of the longest side in SAM's input.

    Returns:
        A float32 tensor of the same shape.
    """
    if coords.shape[-1] not in (2, 4):
        raise ValueError(
            f"Coordinates of shape {tuple(coords.shape)} are neither points (..., 2) nor boxes "
            "(..., 4)."
        )
    height, width = fit_longest_side(original_size, target)
    factor = torch.tensor(
        [width / original_size[1], height / original_size[0]], device=coords.device
    )
    return coords.float() * factor.repeat(coords.shape[-1] // 2)


def upscale_masks(
    masks: Tensor,
    original_size: tuple[int, int],
    input_size: tuple[int, int],
    image_size: int,
) -> Tensor:
    """Bring low-resolution mask logits to the size of the image.

    Agrees with ``segment_anything.modeling.Sam.postprocess_masks``: bilinear to the square input,
    padding cut off, bilinear to the image.

    Args:
        masks: (P, M, h, w) logits of the decoder.
        original_size: (height, width) of the image.
        input_size: (height, width) of the image in SAM's input, without padding.
        image_size: Side of SAM's square input.

    Returns:
        (P, M, height, width) logits; above 0 is the object.
    """
    masks = F.interpolate(masks, (image_size, image_size), mode="bilinear", align_corners=False)
    masks = masks[..., : input_size[0], : input_size[1]]
    return F.interpolate(masks, original_size, mode="bilinear", align_corners=False)


def check_prompts(
    points: tuple[Tensor, Tensor] | None,
    boxes: Tensor | None,
    masks: Tensor | None,
    mask_size: tuple[int, int],
) -> int:
    """Check that prompts fit each other.

    Args:
        points: (P, K, 2) coordinates and (P, K) labels, or None.
        boxes: (P, 4), or None.
        masks: (P, 1, h, w), or (1, 1, h, w) for all prompts, or None.
        mask_size: The (h, w) a mask prompt must have.

    Returns:
        The number of prompts P.

    Raises:
        ValueError: There is no prompt at all, or shapes do not fit.
    """
    counts = {}
    if points is not None:
        coords, labels = points
        if coords.ndim != 3 or coords.shape[-1] != 2 or labels.shape != coords.shape[:2]:
            raise ValueError(
                f"Points must be (P, K, 2) with labels (P, K), not {tuple(coords.shape)} with "
                f"{tuple(labels.shape)}."
            )
        counts["points"] = coords.shape[0]
    if boxes is not None:
        if boxes.ndim != 2 or boxes.shape[-1] != 4:
            raise ValueError(f"Boxes must be (P, 4), not {tuple(boxes.shape)}.")
        counts["boxes"] = boxes.shape[0]
    if masks is not None:
        if masks.ndim != 4 or tuple(masks.shape[1:]) != (1, *mask_size):
            raise ValueError(
                f"Mask prompts must be (P, 1, {mask_size[0]}, {mask_size[1]}), not "
                f"{tuple(masks.shape)}."
            )
        if masks.shape[0] != 1 or not counts:
            counts["masks"] = masks.shape[0]
    if not counts:
        raise ValueError("A prompt needs points, boxes or masks; none was given.")
    if len(set(counts.values())) > 1:
        raise ValueError(f"Prompts differ in number: {counts}; give as many of each.")
    return next(iter(counts.values()))
