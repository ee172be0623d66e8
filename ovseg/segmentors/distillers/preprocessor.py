"""Pictures with boxes as one batch of normalized floats."""

from __future__ import annotations

import torch
from mmengine.model import BaseDataPreprocessor

from ovseg.registry import MODELS
from ovseg.segmentors.mask_preprocessor import normalized


@MODELS.register_module()
class RegionPreprocessor(BaseDataPreprocessor):
    """Stacks pictures of one size and moves them, and the boxes and crops of all, to the device.

    Args:
        mean: RGB mean of the image tower (values 0 to 1).
        std: Its deviation.
    """

    def __init__(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        self.mean, self.std = tuple(mean), tuple(std)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare what `PackRegions` packs.

        Returns:
            ``inputs`` (B, 3, S, S) float, normalized; ``data_samples``; ``boxes``, for each image
            (n, 4); ``crops`` (sum of n, 3, c, c) float, normalized, or None where there are none.
        """
        samples = data["data_samples"]
        regions = [sample.gt_regions for sample in samples]
        crops = None
        if all("crops" in r for r in regions):
            stacked = torch.cat([r.crops for r in regions]).to(self.device)
            crops = normalized(stacked, self.mean, self.std)
        return {
            "inputs": torch.stack(
                [normalized(x.to(self.device), self.mean, self.std) for x in data["inputs"]]
            ),
            "data_samples": samples,
            "boxes": [r.boxes.to(self.device) for r in regions],
            "crops": crops,
        }
