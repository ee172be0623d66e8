"""Boxes of a picture, and the picture under each, for training that compares the two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData
from mmseg.structures import SegDataSample
from PIL import Image

from ovseg.errors import DatasetError
from ovseg.registry import TRANSFORMS
from ovseg.utils.letterbox import crop_boxes, letterbox

__all__ = ["GivenBoxes", "GridBoxes", "PackRegions", "grid_shapes"]


def grid_shapes(most: int) -> list[tuple[int, int]]:
    """(rows, columns) of all grids up to ``most`` each way that are at most twice as long as wide.

    Source: the published code of CLIPSelf (``_init_choices``).
    """
    return [
        (rows, columns)
        for rows in range(1, most + 1)
        for columns in range((rows + 1) // 2, min(2 * rows, most) + 1)
    ]


@TRANSFORMS.register_module()
class GridBoxes(BaseTransform):
    """Cut the picture into a random grid; its cells, or some of them, are the boxes.

    Adds ``boxes`` (n, 4) float, corners in pixels. Draws from NumPy's random state.

    Args:
        max_split: Greatest number of rows and of columns.
        max_boxes: Of cells; of larger grids some are drawn.
    """

    def __init__(self, max_split: int = 6, max_boxes: int = 20) -> None:
        if max_split < 1 or max_boxes < 1:
            raise ValueError(f"max_split {max_split} and max_boxes {max_boxes} must be 1 or more.")
        self.shapes, self.max_boxes = grid_shapes(max_split), max_boxes

    def transform(self, results: dict) -> dict:
        """Draw a grid, then cells."""
        height, width = results["img"].shape[:2]
        rows, columns = self.shapes[np.random.randint(len(self.shapes))]
        y, x = (np.linspace(0, side, n + 1) for side, n in ((height, rows), (width, columns)))
        x0, y0 = (a.ravel() for a in np.meshgrid(x[:-1], y[:-1]))
        x1, y1 = (a.ravel() for a in np.meshgrid(x[1:], y[1:]))
        cells = np.stack([x0, y0, x1, y1], axis=1).astype(np.float32)
        results["boxes"] = cells[np.random.permutation(len(cells))[: self.max_boxes]]
        return results

    def __repr__(self) -> str:
        return f"GridBoxes(max_split={self.shapes[-1][0]}, max_boxes={self.max_boxes})"


@TRANSFORMS.register_module()
class GivenBoxes(BaseTransform):
    """Take some of the boxes a dataset gives, such as proposals or region-word pairs.

    Needs ``given_boxes`` (n, 4) corners in pixels, and ``given_labels`` (n,) where they have words;
    adds ``boxes`` and ``box_labels``. A picture without one that can be used gives its upper left
    sixteenth, as in the published code, or no box at all where boxes have words.

    Args:
        max_boxes: How many are looked at; of more, some are drawn.
        min_size: Those whose area is less than that of a square of this side are left out.
        max_size: Likewise those of a greater area.
        shuffle: Off, the first are looked at.
    """

    def __init__(
        self,
        max_boxes: int = 20,
        min_size: float = 8,
        max_size: float = 1024,
        shuffle: bool = True,
    ) -> None:
        if max_boxes < 1 or not 0 <= min_size < max_size:
            raise ValueError(f"no box fits max_boxes {max_boxes}, sizes {min_size} to {max_size}.")
        self.max_boxes, self.sizes, self.shuffle = max_boxes, (min_size, max_size), shuffle

    def transform(self, results: dict) -> dict:
        """Choose boxes.

        Raises:
            DatasetError: The dataset gives none.
        """
        if "given_boxes" not in results:
            raise DatasetError(
                f"Image {results.get('img_path')} came without boxes; name a file of them in "
                "ann_file of the dataset, or take GridBoxes."
            )
        boxes = np.asarray(results["given_boxes"], np.float32).reshape(-1, 4)
        order = np.random.permutation(len(boxes)) if self.shuffle else np.arange(len(boxes))
        order = order[: self.max_boxes]
        area = (boxes[order, 2:] - boxes[order, :2]).prod(1)
        order = order[(area >= self.sizes[0] ** 2) & (area <= self.sizes[1] ** 2)]
        results["boxes"] = boxes[order]
        labels = results.get("given_labels")
        if labels is not None:
            results["box_labels"] = np.asarray(labels, np.int64)[order]
        elif not len(order):
            height, width = results["img"].shape[:2]
            results["boxes"] = np.array([[0, 0, width / 4, height / 4]], np.float32)
        return results

    def __repr__(self) -> str:
        return f"GivenBoxes(max_boxes={self.max_boxes}, sizes={self.sizes})"


@TRANSFORMS.register_module()
class PackRegions(BaseTransform):
    """Pack a picture with its boxes, and what lies under them.

    Needs ``img`` and ``boxes``. The picture is resized to fit a square, into its upper left corner.
    The data sample gets ``gt_regions``: InstanceData with ``boxes`` (n, 4) float, shares of the
    square; ``crops`` (n, 3, c, c) uint8, see `ovseg.utils.letterbox.crop_boxes`; and ``labels``
    (n,) int64 where boxes have words.

    Args:
        size: Side of the square in pixels.
        crop_size: Side of crops; None makes none.
        context: How much larger than its box a crop is; published: 1 for cells of a grid, 1.5 for
            proposals.
        meta_keys: Metainfo to keep.
    """

    def __init__(
        self,
        size: int = 1024,
        crop_size: int | None = 224,
        context: float = 1.0,
        meta_keys: Sequence[str] = ("img_path", "ori_shape"),
    ) -> None:
        if size < 1 or (crop_size is not None and crop_size < 1) or context < 1:
            raise ValueError(f"size {size}, crop_size {crop_size}, context {context}: below 1.")
        self.size, self.crop_size, self.context = size, crop_size, context
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack a sample."""
        image = Image.fromarray(results["img"])
        boxes = np.asarray(results["boxes"], np.float32).reshape(-1, 4)
        scale = 1 / max(image.size)
        regions = {"boxes": torch.from_numpy(boxes * scale)}
        if self.crop_size is not None:
            crops = crop_boxes(image, boxes, self.crop_size, self.context)
            regions["crops"] = torch.from_numpy(crops).permute(0, 3, 1, 2)
        if "box_labels" in results:
            regions["labels"] = torch.from_numpy(np.asarray(results["box_labels"], np.int64))
        sample = SegDataSample(metainfo={k: results[k] for k in self.meta_keys if k in results})
        sample.gt_regions = InstanceData(**regions)
        pixels = np.ascontiguousarray(np.asarray(letterbox(image, self.size)).transpose(2, 0, 1))
        return {"inputs": torch.from_numpy(pixels), "data_samples": sample}

    def __repr__(self) -> str:
        return f"PackRegions(size={self.size}, crop_size={self.crop_size}, context={self.context})"
