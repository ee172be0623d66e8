"""Images for models that are trained: as they are to be read, and in one batch while training."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ovseg.registry import MODELS
from ovseg.segmentors.preprocessor import ImagePreprocessor


def normalized(
    image: torch.Tensor, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> torch.Tensor:
    """A (3, H, W) uint8 RGB image as floats of the given mean and deviation (of values 0 to 1)."""
    scale = [torch.tensor(x, device=image.device)[:, None, None] * 255 for x in (mean, std)]
    return (image.float() - scale[0]) / scale[1]


def padded_size(height: int, width: int, divisor: int) -> tuple[int, int]:
    """The next size that ``divisor`` divides."""
    return -(-height // divisor) * divisor, -(-width // divisor) * divisor


def pad_to(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Add zeros (or False) to the right and below: (..., H, W) to (..., *size)."""
    height, width = image.shape[-2:]
    if (height, width) == tuple(size):
        return image
    return F.pad(image, (0, size[1] - width, 0, size[0] - height))


@MODELS.register_module()
class MaskPreprocessor(ImagePreprocessor):
    """While testing an `ImagePreprocessor`; while training it normalizes and makes one batch.

    Training images are taken at the size they have. They are padded to the right and below with
    the mean color, to the largest of the batch and on to multiples of ``divisor``.

    Args:
        mean: RGB mean of the image tower (values 0 to 1).
        std: its deviation.
        divisor: sides of padded images are multiples of it.
        short_side: see `ImagePreprocessor`.
        long_side: see there.
        interpolation: see there.
    """

    def __init__(
        self,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        divisor: int = 32,
        short_side: int | None = None,
        long_side: int | None = None,
        interpolation: str = "bilinear",
    ) -> None:
        super().__init__(short_side, long_side, interpolation)
        self.mean, self.std, self.divisor = tuple(mean), tuple(std), divisor

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare ``data["inputs"]``, a list of (3, H, W) uint8 RGB tensors.

        Returns:
            While testing see `ImagePreprocessor.forward`. While training ``inputs`` (B, 3, H, W)
            float, normalized, and ``data_samples``.
        """
        if not training:
            return super().forward(data, training)
        images = [normalized(x.to(self.device), self.mean, self.std) for x in data["inputs"]]
        largest = (max(x.shape[-2] for x in images), max(x.shape[-1] for x in images))
        size = padded_size(*largest, self.divisor)
        samples = data.get("data_samples")
        for sample in samples or ():
            sample.set_metainfo({"batch_input_shape": size})
        return {"inputs": torch.stack([pad_to(x, size) for x in images]), "data_samples": samples}
