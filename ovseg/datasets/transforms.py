"""Transforms that read images and masks; everything after them comes from mmcv and mmseg."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform

from ovseg.errors import DatasetError
from ovseg.registry import TRANSFORMS
from ovseg.utils.images import decode_image

__all__ = ["LoadImage", "LoadMask", "check_size"]


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read the image of a sample, whatever kind of file it is.

    Needs ``img_path``. Adds ``img`` (H, W, 3) uint8, ``img_shape`` and ``ori_shape`` (H, W).

    Args:
        channel_order: ``"rgb"``, which the encoders of this package take, or ``"bgr"`` for
            mmseg's own models.
        exif: Turn the image upright as its EXIF orientation says. Off, because the masks of
            datasets are drawn in the stored orientation.
    """

    def __init__(self, channel_order: str = "rgb", exif: bool = False) -> None:
        if channel_order not in ("rgb", "bgr"):
            raise ValueError(f"channel_order must be 'rgb' or 'bgr', not {channel_order!r}.")
        self.channel_order = channel_order
        self.exif = exif

    def transform(self, results: dict) -> dict:
        """Read the image; raises `ImageError` naming the file where that fails."""
        image = decode_image(results["img_path"], exif=self.exif)
        if self.channel_order == "bgr":
            image = np.ascontiguousarray(image[..., ::-1])
        results["img"] = image
        results["img_shape"] = image.shape[:2]
        results["ori_shape"] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f"LoadImage(channel_order={self.channel_order!r}, exif={self.exif})"


@TRANSFORMS.register_module()
class LoadMask(BaseTransform):
    """Read the mask of a sample through the `LabelReader` of its dataset; labels above 255 survive.

    Needs ``seg_map_path`` and ``label_reader``, which the datasets of this package provide. Adds
    ``gt_seg_map`` (H, W), class indices and the void label of the dataset.
    """

    def transform(self, results: dict) -> dict:
        """Read the mask; raises `DatasetError` naming the file where that fails."""
        path = results["seg_map_path"]
        mask = results["label_reader"].read(
            path, results.get("segments"), results.get("label_lookup")
        )
        check_size(path, mask.shape, results)
        results["gt_seg_map"] = mask
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results

    def __repr__(self) -> str:
        return "LoadMask()"


def check_size(path: str, shape: tuple[int, int], results: dict) -> None:
    """Make sure that ground truth of a shape belongs to the image of a sample.

    Raises:
        DatasetError: The two are of different sizes.
    """
    # An image that was resized before keeps its first size here: masks are not resized.
    expected = results.get("ori_shape", shape)
    if tuple(expected) != shape:
        raise DatasetError(
            f"Mask {path} is {shape[1]} x {shape[0]} pixels but its image "
            f"{results.get('img_path')} is {expected[1]} x {expected[0]}; they do not belong "
            "together."
        )
