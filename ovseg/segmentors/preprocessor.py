"""What happens to an image before step 1: brought to the protocol's size, on the model's device.

Resizing belongs to the model and not to the dataset, so that a protocol is one setting that any
dataset and any single photograph goes through in the same way.
"""

from __future__ import annotations

import mmcv
import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor
from mmengine.structures import PixelData
from PIL import Image

from ovseg.registry import MODELS

INTERPOLATIONS = ("bilinear", "bicubic", "bilinear_antialias")
_PILLOW = {"bicubic": Image.Resampling.BICUBIC, "bilinear_antialias": Image.Resampling.BILINEAR}


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
        interpolation: "bilinear" as mmcv does it, "bicubic" as torchvision does it with Pillow,
            "bilinear_antialias" as detectron2 does it with Pillow.
        square: cut images with a ground truth, and the ground truth, to the square in the middle;
            images without one stay whole.
    """

    def __init__(
        self,
        short_side: int | None = None,
        long_side: int | None = None,
        interpolation: str = "bilinear",
        square: bool = False,
    ) -> None:
        super().__init__()
        self.short_side, self.long_side = short_side, long_side
        self.interpolation, self.square = interpolation, square

    def resize(self, image: torch.Tensor) -> torch.Tensor:
        """A (3, H, W) uint8 image at the protocol's size."""
        size = protocol_size(*image.shape[-2:], self.short_side, self.long_side)
        return self._resize_to(image, size)

    def _resize_to(self, image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        if size == tuple(image.shape[-2:]):
            return image
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())
        if self.interpolation in _PILLOW:
            resized = Image.fromarray(pixels).resize(size[::-1], _PILLOW[self.interpolation])
            pixels = np.array(resized)
        else:
            pixels = mmcv.imresize(pixels, size[::-1], interpolation="bilinear")
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Resize and move ``data["inputs"]``, a list of (3, H, W) uint8 RGB tensors.

        ``img_shape`` of the data samples becomes the new size; ``ori_shape`` is set where it is
        missing. Where the protocol scores a square, samples with ``gt_sem_seg`` get it cut, and
        their ``ori_shape`` is the square.

        Returns:
            ``inputs`` resized, ``data_samples``, and ``originals``: the images as they came, which
            are not moved: what looks at them resizes them first, on the CPU.
        """
        samples = data.get("data_samples") or [None] * len(data["inputs"])
        inputs, originals = [], []
        for original, sample in zip(data["inputs"], samples, strict=False):
            if self.square and sample is not None and "gt_sem_seg" in sample:
                image, original = self._cut_square(original, sample)
            else:
                image = self.resize(original)
            inputs.append(image.to(self.device, non_blocking=True))
            originals.append(original)
            if sample is not None:
                sample.set_metainfo({"img_shape": tuple(image.shape[-2:])})
                if "ori_shape" not in sample.metainfo:
                    sample.set_metainfo({"ori_shape": tuple(original.shape[-2:])})
        return {"inputs": inputs, "data_samples": data.get("data_samples"), "originals": originals}

    def _cut_square(self, image: torch.Tensor, sample) -> tuple[torch.Tensor, torch.Tensor]:
        """The square of the resized image and of the original; that of the truth is set.

        Sizes and places are rounded as torchvision's Resize and CenterCrop do it.
        """
        side = self.short_side
        height, width = image.shape[-2:]
        short = min(height, width)
        size = (side * height // short, side * width // short)
        top, left = (round((length - side) / 2) for length in size)
        resized = self._resize_to(image, size)[:, top : top + side, left : left + side]
        truth = sample.gt_sem_seg.data
        rows, columns = (
            torch.from_numpy(_nearest(length, new)[start : start + side])
            for length, new, start in zip(truth.shape[-2:], size, (top, left), strict=True)
        )
        sample.set_data({"gt_sem_seg": PixelData(data=truth[:, rows][:, :, columns])})
        sample.set_metainfo({"ori_shape": (side, side)})
        top, left = round(top * short / side), round(left * short / side)
        return resized, image[:, top : top + short, left : left + short]


def _nearest(length: int, new: int) -> np.ndarray:
    """Which pixels of a side Pillow keeps when it resizes it to ``new`` pixels."""
    side = Image.fromarray(np.arange(length, dtype=np.int32)[None])
    return np.array(side.resize((new, 1), Image.Resampling.NEAREST))[0].astype(np.int64)
