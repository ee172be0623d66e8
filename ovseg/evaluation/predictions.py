"""Saving label maps and overlays while a run goes on, under the names of the images."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import torch
from mmengine.hooks import Hook

from ovseg.errors import OvsegError
from ovseg.evaluation.panoptic_files import PanopticFiles
from ovseg.evaluation.png import write_png
from ovseg.evaluation.records import RecordStore, image_key
from ovseg.registry import HOOKS
from ovseg.utils.images import decode_image

__all__ = ["SavePredictions", "encode_label_map", "prediction_names", "write_png"]


def prediction_names(keys: Iterable[str]) -> dict[str, str]:
    """File name of the prediction for each image: its own, with its folders, ending in ``.png``.

    Images that differ only in their ending (or in upper and lower case) keep their ending before
    the ``.png``, so that no prediction overwrites another on any file system.
    """
    keys = list(keys)
    plain = {key: f"{PurePosixPath(key).with_suffix('')}.png" for key in keys}
    count = Counter(name.casefold() for name in plain.values())
    return {
        key: name if count[name.casefold()] == 1 else f"{key}.png" for key, name in plain.items()
    }


def encode_label_map(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Label map in the narrowest type a PNG can hold.

    Args:
        labels: (H, W) integer class indices; anything else means "no class".
        num_classes: Number of classes C.

    Returns:
        (H, W) uint8 with 255 for "no class" where C is at most 255, else uint16 with 65535.

    Raises:
        ValueError: There are more than 65535 classes.
    """
    if num_classes > 65535:
        raise ValueError(f"A PNG holds at most 65535 classes, not {num_classes}.")
    dtype, void = (np.uint8, 255) if num_classes <= 255 else (np.uint16, 65535)
    known = (labels >= 0) & (labels < num_classes)
    return np.where(known, labels, void).astype(dtype)


@HOOKS.register_module()
class SavePredictions(Hook):
    """Saves what the model finds, image by image, and marks images as finished.

    Args:
        classes: Names of the classes.
        keys: Keys of all images of the dataset, finished ones included.
        root: Folder that image names are relative to.
        store: Told that a batch is finished once its files are there.
        out_dir: Folder of label maps: PNGs of class indices, see `encode_label_map`.
        show_dir: Folder of overlays.
        draw: ``(image, labels, classes) -> RGB picture``, for overlays.
        panoptic_dir: Folder of PNGs of segment ids, with a JSON file beside it, see
            `PanopticFiles`.
        category_ids: For that file, the dataset's own number of each class.
    """

    priority = "LOW"

    def __init__(
        self,
        classes: Sequence[str],
        keys: Iterable[str],
        root: str = "",
        store: RecordStore | None = None,
        out_dir: str | Path | None = None,
        show_dir: str | Path | None = None,
        draw: Callable[[np.ndarray, np.ndarray, Sequence[str]], np.ndarray] | None = None,
        panoptic_dir: str | Path | None = None,
        category_ids: Sequence[int] | None = None,
    ) -> None:
        self.classes = tuple(classes)
        self.names = prediction_names(keys)
        self.root = root
        self.store = store
        self.out_dir = Path(out_dir) if out_dir else None
        self.show_dir = Path(show_dir) if show_dir else None
        self.draw = draw
        self.panoptic = None
        if panoptic_dir:
            self.panoptic = PanopticFiles(panoptic_dir, self.names, category_ids, store)

    def after_test_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: Sequence = ()
    ) -> None:
        """Save the files of a batch, then mark its images as finished."""
        if self.out_dir or self.show_dir or self.panoptic:
            for i, sample in enumerate(outputs):
                self._save(sample, (data_batch or {}).get("inputs"), i)
        if self.store is not None:
            self.store.commit()

    def after_test_epoch(self, runner=None, metrics: dict | None = None) -> None:
        """Write what is one file for all images."""
        if self.panoptic is not None:
            self.panoptic.write_annotations()

    def _save(self, sample, inputs: Sequence[torch.Tensor] | None, index: int) -> None:
        key = image_key(sample.img_path, self.root)
        name = self.names.get(key, f"{key}.png")
        if self.panoptic is not None:
            self.panoptic.save(sample, key)
        if not (self.out_dir or self.show_dir):
            return
        labels = sample.pred_sem_seg.data.squeeze(0).cpu().numpy()
        if self.out_dir:
            write_png(self.out_dir / name, encode_label_map(labels, len(self.classes)))
        if self.show_dir:
            image = self._image(sample.img_path, labels.shape, inputs, index)
            write_png(self.show_dir / name, self.draw(image, labels, self.classes))

    def _image(
        self,
        path: str,
        shape: tuple[int, int],
        inputs: Sequence[torch.Tensor] | None,
        index: int,
    ) -> np.ndarray:
        """The image under an overlay: the file, or for rendered images what the model was given."""
        if os.path.isfile(path):
            try:
                image = decode_image(path, exif=False)
            except OvsegError:
                image = None
            if image is not None and image.shape[:2] == shape:
                return image
        if inputs is None:
            return np.full((*shape, 3), 128, np.uint8)
        image = inputs[index].permute(1, 2, 0).cpu().numpy().clip(0, 255).astype(np.uint8)
        return cv2.resize(image, shape[::-1], interpolation=cv2.INTER_LINEAR)
