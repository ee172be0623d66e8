"""What the converters of PASCAL Context share: its lists of images and its ``.mat`` files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from ovseg.errors import DatasetError

NUM_CLASSES = 459
MAT_SOURCE = "trainval.tar.gz at https://www.cs.stanford.edu/~roozbeh/pascal-context/ holds it."


def image_list(root: Path, split: str) -> Path:
    """Where our datasets, as mmseg's, look for the names of a split."""
    return root / "ImageSets" / "SegmentationContext" / f"{split}.txt"


def image_names(root: Path, split: str) -> list[str]:
    """Names of the images of a split, from the first list that is there.

    The devkit's own list of VOC2010 is the split of PASCAL Context as well.

    Raises:
        DatasetError: There is no list.
    """
    lists = (
        image_list(root, split),
        root / f"pascalcontext_{split}.txt",
        root / "ImageSets" / "Main" / f"{split}.txt",
    )
    for path in lists:
        if path.is_file():
            return [line.strip() for line in path.read_text().splitlines() if line.strip()]
    raise DatasetError(
        f"{root} has no list of the images of {split}: none of "
        f"{', '.join(p.relative_to(root).as_posix() for p in lists)} exists; give the folder "
        "VOC2010 of VOCtrainval_03-May-2010.tar."
    )


def read_label_map(path: Path) -> np.ndarray:
    """The ``LabelMap`` of a ``.mat`` file.

    Returns:
        (H, W) int64, 1 to 459, 0 where nothing is labelled.

    Raises:
        DatasetError: The file is missing, unreadable, or holds something else.
    """
    if not path.is_file():
        raise DatasetError(f"{path} does not exist; {MAT_SOURCE}")
    try:
        labels = np.asarray(loadmat(path, variable_names=["LabelMap"])["LabelMap"])
    except Exception as error:  # scipy raises whatever a damaged file leads it into
        raise DatasetError(
            f"{path} is no MATLAB file with a LabelMap ({error!r}); fetch it again. {MAT_SOURCE}"
        ) from error
    if labels.ndim != 2 or labels.dtype.kind not in "uif":
        raise DatasetError(
            f"LabelMap of {path} is not a map of numbers but {labels.dtype} of {labels.shape}."
        )
    labels = labels.astype(np.int64)
    if labels.size and not 0 <= labels.min() <= labels.max() <= NUM_CLASSES:
        raise DatasetError(
            f"LabelMap of {path} holds {labels.min()} to {labels.max()}, not 0 to {NUM_CLASSES}."
        )
    return labels
