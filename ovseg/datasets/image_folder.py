"""Images without labels, for training that asks for none."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ovseg.datasets.folder import IMAGE_SUFFIXES
from ovseg.errors import DatasetError
from ovseg.registry import DATASETS, TRANSFORMS

# isort: split
from mmengine.dataset import BaseDataset

__all__ = ["ImageFolder"]


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """All images in a folder and the folders below it, in the order of their names.

    Args:
        data_root: The folder.
        length: Take so many of them, drawn by ``seed``; None takes all.
        seed: Which ones are drawn.
        pipeline: Transforms; the first is usually `LoadImage`.
        test_mode: as in MMEngine.

    Raises:
        DatasetError: There is no such folder, or too few images are in it.
    """

    def __init__(
        self,
        data_root: str,
        length: int | None = None,
        seed: int = 0,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
    ) -> None:
        self.length, self.seed = length, seed
        super().__init__(
            data_root=data_root,
            # Built here, so that a dataset can be made outside a runner as well.
            pipeline=[TRANSFORMS.build(t) if isinstance(t, dict) else t for t in pipeline],
            test_mode=test_mode,
        )

    def load_data_list(self) -> list[dict]:
        """One small dict per image."""
        root = Path(self.data_root)
        if not root.is_dir():
            raise DatasetError(
                f"Folder {root} does not exist; set data_root of the dataset to a folder of images."
            )
        paths = sorted(
            os.path.join(folder, name)
            for folder, _, names in os.walk(root)
            for name in names
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")
        )
        wanted = 1 if self.length is None else self.length
        if not 0 < wanted <= len(paths):
            raise DatasetError(
                f"Folder {root} holds {len(paths)} images, and {wanted} are asked for; set "
                "data_root to another folder, or length to what there is."
            )
        if self.length is not None:
            drawn = np.random.default_rng(self.seed).permutation(len(paths))[: self.length]
            paths = [paths[i] for i in sorted(drawn)]
        return [
            dict(img_path=path, label_map=None, reduce_zero_label=False, seg_fields=[])
            for path in paths
        ]
