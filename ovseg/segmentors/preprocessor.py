"""What happens to an image before step 1: brought to the protocol's size, on the model's device.

Resizing belongs to the model and not to the dataset, so that a protocol is one setting that any
dataset and any single photograph goes through in the same way.
"""

from __future__ import annotations

import mmcv
import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor

from ovseg.registry import MODELS


def protocol_size(
    height: int, width: int, short_side: int | None, long_side: int | None
) -> tuple[int, int]:
    """(H, W) an image is resized to: the short side as wanted unless the long side gets too long.

    Rounded as mmcv does it, since the published numbers were made with it.
    """
    if short_side is None:
        return height, width
    limits = (short_side, long_side if long_side is not None else short_side * max(height, width))
    scale = min(max(limits) / max(height, width), min(limits) / min(height, width))
    return max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)


@MODELS.register_module()
class ImagePreprocessor(BaseDataPreprocessor):
    """Resizes RGB images one by one and moves them to the device; they need not be of one size.

    Args:
        short_side: wanted length of the shorter side in pixels; None leaves images as they are.
        long_side: greatest length of the longer side, which wins; None sets no limit.
    """

    def __init__(self, short_side: int | None = None, long_side: int | None = None) -> None:
        super().__init__()
        self.short_side, self.long_side = short_side, long_side

    def resize(self, image: torch.Tensor) -> torch.Tensor:
        """A (3, H, W) uint8 image at the protocol's size, bilinearly as mmcv does it."""
        size = protocol_size(*image.shape[-2:], self.short_side, self.long_side)
        if size == tuple(image.shape[-2:]):
            return image
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())
        pixels = mmcv.imresize(pixels, size[::-1], interpolation="bilinear")
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Resize and move ``data["inputs"]``, a list of (3, H, W) uint8 RGB tensors.

        ``img_shape`` of the data samples becomes the new size; ``ori_shape`` is set where it is
        missing.

        Returns:
            ``inputs`` resized, ``data_samples``, and ``originals``: the images as they came.
        """
        images = data["inputs"]
        samples = data.get("data_samples")
        resized = [self.resize(image).to(self.device) for image in images]
        originals = [image.to(self.device) for image in images]
        for before, after, sample in zip(images, resized, samples or [], strict=False):
            sample.set_metainfo({"img_shape": tuple(after.shape[-2:])})
            if "ori_shape" not in sample.metainfo:
                sample.set_metainfo({"ori_shape": tuple(before.shape[-2:])})
        return {"inputs": resized, "data_samples": samples, "originals": originals}
