"""What SAM sees of a picture: all of its original pixels, encoded once for all steps."""

from __future__ import annotations

import mmcv
import numpy as np
import torch
from PIL import Image
from torch import nn

from ovseg.dense.picture import Picture, normalize


def sam_view(
    picture: Picture, encoder: nn.Module, multiple: int = 1, part: int = 0, parts: int = 1
):
    """SAM's encoder on a picture, or on one of several equally wide parts of it.

    The original is resized as Trident's authors do it: both sides stretched up to multiples of
    ``multiple`` (OpenCV, bilinear), then, as every SAM predictor does it, the longest side brought
    to SAM's input (PIL, antialiased). Steps that ask for the same share one pass of the encoder.

    Args:
        picture: its original is read.
        encoder: a `ovseg.encoders.SAM`.
        multiple: pixels; the authors take the patch of their CLIP. 1 stretches nothing.
        part: which of the parts, from the left.
        parts: how many.

    Returns:
        `ovseg.encoders.sam.SAMState` of the one image.
    """

    def compute():
        pixels = _stretch(picture.original.permute(1, 2, 0).cpu().numpy(), multiple)
        width = pixels.shape[1]
        pixels = pixels[:, width * part // parts : width * (part + 1) // parts]
        height, width = encoder.input_size(pixels.shape[:2])
        image = Image.fromarray(np.ascontiguousarray(pixels))
        image = np.array(image.resize((width, height), Image.Resampling.BILINEAR))
        tensor = torch.from_numpy(image).to(encoder.device, non_blocking=True).permute(2, 0, 1)
        return encoder.encode(normalize(tensor, encoder)[None])

    return picture.once((encoder, "sam_view", multiple, part, parts), compute)


def _stretch(pixels: np.ndarray, multiple: int) -> np.ndarray:
    """(H, W, 3) uint8 with both sides stretched up to multiples."""
    height, width = (-(-side // multiple) * multiple for side in pixels.shape[:2])
    if (height, width) == pixels.shape[:2]:
        return pixels
    return mmcv.imresize(np.ascontiguousarray(pixels), (width, height), interpolation="bilinear")
