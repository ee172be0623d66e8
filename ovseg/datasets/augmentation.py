"""Random changes of pictures that are trained on; the truth is changed with them.

All draw from NumPy's random state, which `SeededSamples` sets for each sample. Every map of
``seg_fields`` goes along, segment ids included; what lies beyond the picture is no segment (0) and
void in maps of classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from ovseg.errors import DatasetError
from ovseg.registry import TRANSFORMS

__all__ = [
    "ClassAreaCrop",
    "LargeScaleJitter",
    "RandomBrightness",
    "RandomMirror",
    "ResizeShortSide",
]


def resize_pixels(pixels: np.ndarray, size: tuple[int, int], smooth: bool) -> np.ndarray:
    """An image (H, W, 3) uint8 or a map (H, W) of integers at another size (H, W), by Pillow.

    As the public code does it: bilinear with antialiasing for images, nearest for maps.
    """
    if tuple(size) == pixels.shape[:2]:
        return pixels
    if smooth:
        return np.array(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))
    drawn = Image.fromarray(pixels.astype(np.int32))
    return np.array(drawn.resize(size[::-1], Image.Resampling.NEAREST)).astype(pixels.dtype)


def fit(pixels: np.ndarray, top: int, left: int, size: tuple[int, int], fill: int) -> np.ndarray:
    """The window of ``size`` (H, W) from a corner on; what is missing at its end is filled."""
    height, width = size
    window = pixels[top : top + height, left : left + width]
    rows, columns = height - window.shape[0], width - window.shape[1]
    if rows or columns:
        beside = ((0, rows), (0, columns)) + ((0, 0),) * (pixels.ndim - 2)
        window = np.pad(window, beside, constant_values=fill)
    return np.ascontiguousarray(window)


def _change(results: dict, image: Callable, map_: Callable[[np.ndarray, str], np.ndarray]) -> dict:
    """Apply a change to the image and, knowing their names, to the maps."""
    results["img"] = image(results["img"])
    results["img_shape"] = results["img"].shape[:2]
    for name in dict.fromkeys(results.get("seg_fields", ())):
        results[name] = map_(results[name], name)
    return results


def _pair(size: int | Sequence[int], what: str) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"{what} must be a side or (H, W) of at least 1 pixel, got {size}.")
    return pair


@TRANSFORMS.register_module()
class RandomMirror(BaseTransform):
    """Mirror left and right, now and then.

    Args:
        prob: How often, 0 to 1.
    """

    def __init__(self, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob must be from 0 to 1, got {prob}.")
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Mirror image and maps, or leave them."""
        results["flip"] = bool(np.random.uniform() < self.prob)
        if not results["flip"]:
            return results
        return _change(results, _mirrored, lambda pixels, _: _mirrored(pixels))

    def __repr__(self) -> str:
        return f"RandomMirror(prob={self.prob})"


def _mirrored(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels[:, ::-1])


@TRANSFORMS.register_module()
class RandomBrightness(BaseTransform):
    """Make the picture darker or brighter, by a random factor; what gets too bright is white.

    Source: the brightness of torchvision's ``ColorJitter``.

    Args:
        amount: Factors are from 1 - ``amount`` to 1 + ``amount``; 0 to 1.
    """

    def __init__(self, amount: float = 0.5) -> None:
        if not 0 <= amount <= 1:
            raise ValueError(f"amount must be from 0 to 1, got {amount}.")
        self.amount = amount

    def transform(self, results: dict) -> dict:
        """Multiply the values of the image; maps stay."""
        factor = np.random.uniform(1 - self.amount, 1 + self.amount)
        bright = np.rint(results["img"].astype(np.float32) * np.float32(factor))
        results["img"] = np.minimum(bright, 255).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f"RandomBrightness(amount={self.amount})"


@TRANSFORMS.register_module()
class LargeScaleJitter(BaseTransform):
    """Resize to a random part or multiple of a square, then cut or pad to that square.

    A picture at scale 1 just fits into the square. Where it is larger, the window lies anywhere;
    where it is smaller, it is filled up below and on the right. As in the public code, one random
    number says how far right and how far down the window lies.

    Source: Ghiasi et al., "Simple Copy-Paste", CVPR 2021; ``ResizeScale`` and ``FixedSizeCrop`` of
    detectron2, as FC-CLIP is trained with on COCO panoptic (0.1 to 2.0, 1024).

    Args:
        size: Side, or (H, W), of the result in pixels.
        scale: Least and greatest scale.
        pad_value: Of the picture where there is none.
        void: Of the map of classes where there is no picture.
    """

    def __init__(
        self,
        size: int | Sequence[int] = 1024,
        scale: Sequence[float] = (0.1, 2.0),
        pad_value: int = 128,
        void: int = 255,
    ) -> None:
        self.size = _pair(size, "size")
        if len(scale) != 2 or not 0 < scale[0] <= scale[1]:
            raise ValueError(f"scale must be (least, greatest), above 0, got {scale}.")
        self.scale = tuple(scale)
        self.pad_value, self.void = pad_value, void

    def transform(self, results: dict) -> dict:
        """Resize, then cut or pad."""
        height, width = results["img"].shape[:2]
        scale = np.random.uniform(*self.scale)
        ratio = min(self.size[0] * scale / height, self.size[1] * scale / width)
        resized = tuple(max(round(side * ratio), 1) for side in (height, width))
        place = np.random.uniform()
        top, left = (
            round(max(side - window, 0) * place)
            for side, window in zip(resized, self.size, strict=True)
        )

        def image(pixels: np.ndarray) -> np.ndarray:
            pixels = resize_pixels(pixels, resized, smooth=True)
            return fit(pixels, top, left, self.size, self.pad_value)

        def map_(pixels: np.ndarray, name: str) -> np.ndarray:
            pixels = resize_pixels(pixels, resized, smooth=False)
            return fit(pixels, top, left, self.size, self.void if name == "gt_seg_map" else 0)

        return _change(results, image, map_)

    def __repr__(self) -> str:
        return f"LargeScaleJitter(size={self.size}, scale={self.scale})"


@TRANSFORMS.register_module()
class ResizeShortSide(BaseTransform):
    """Resize so that the shorter side has one of several lengths.

    Source: ``ResizeShortestEdge`` of detectron2, as Mask2Former is trained with on ADE20K (320 to
    1280 in steps of 64) and Cityscapes (512 to 2048 in steps of 102).

    Args:
        sides: Lengths to choose from, in pixels.
        longest: Greatest length of the longer side, which wins.
    """

    def __init__(self, sides: Sequence[int], longest: int = 2560) -> None:
        if not sides or min(sides) < 1:
            raise ValueError(f"sides must be lengths of at least 1 pixel, got {sides}.")
        self.sides, self.longest = tuple(sides), longest

    def transform(self, results: dict) -> dict:
        """Resize image and maps."""
        height, width = results["img"].shape[:2]
        ratio = self.sides[np.random.randint(len(self.sides))] / min(height, width)
        ratio = min(ratio, self.longest / max(height, width))
        size = tuple(max(int(side * ratio + 0.5), 1) for side in (height, width))
        return _change(
            results,
            lambda pixels: resize_pixels(pixels, size, smooth=True),
            lambda pixels, _: resize_pixels(pixels, size, smooth=False),
        )

    def __repr__(self) -> str:
        return f"ResizeShortSide(sides={self.sides}, longest={self.longest})"


@TRANSFORMS.register_module()
class ClassAreaCrop(BaseTransform):
    """Cut a window in which no class has too much of the area.

    Ten places are tried, the last one is taken whatever it shows. Void does not count. What is
    smaller than the window is padded to it, so that pictures can be batched.

    Source: ``RandomCrop_CategoryAreaConstraint`` of detectron2, as Mask2Former uses it.

    Args:
        size: Side, or (H, W), of the window in pixels.
        most: Greatest share of the labelled area that one class may have; 1 takes the first window.
        pad_value: Of the picture where there is none.
        void: Label of pixels that are no class, also of those where there is no picture.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        most: float = 1.0,
        pad_value: int = 128,
        void: int = 255,
    ) -> None:
        self.size = _pair(size, "size")
        if not 0 < most <= 1:
            raise ValueError(f"most must be above 0 and at most 1, got {most}.")
        self.most, self.pad_value, self.void = most, pad_value, void

    def transform(self, results: dict) -> dict:
        """Choose the window, then cut."""
        top, left = self._choose(results)
        return _change(
            results,
            lambda pixels: fit(pixels, top, left, self.size, self.pad_value),
            lambda pixels, name: fit(
                pixels, top, left, self.size, self.void if name == "gt_seg_map" else 0
            ),
        )

    def _choose(self, results: dict) -> tuple[int, int]:
        image = results["img"]
        height, width = (min(a, b) for a, b in zip(image.shape[:2], self.size, strict=True))
        classes = None
        if self.most < 1:
            classes = class_map(results, self.void)
        for _ in range(10):
            top = np.random.randint(image.shape[0] - height + 1)
            left = np.random.randint(image.shape[1] - width + 1)
            if classes is None:
                break
            window = classes[top : top + height, left : left + width]
            found, areas = np.unique(window, return_counts=True)
            areas = areas[found != self.void]
            if len(areas) > 1 and areas.max() < self.most * areas.sum():
                break
        return top, left

    def __repr__(self) -> str:
        return f"ClassAreaCrop(size={self.size}, most={self.most})"


def class_map(results: dict, void: int) -> np.ndarray:
    """Class indices of a sample (H, W), made of its segments where it has no map of classes.

    Raises:
        DatasetError: It has neither.
    """
    if "gt_seg_map" in results:
        return results["gt_seg_map"]
    if "gt_panoptic" not in results:
        raise DatasetError(
            f"Sample {results.get('img_path')} has no ground truth; put LoadPanoptic or LoadMask "
            "into the pipeline."
        )
    ids = results["gt_panoptic"]
    classes = np.full(ids.shape, void, np.int64)
    for segment in results["segments_info"]:
        classes[ids == segment["id"]] = segment["category_id"]
    return classes
