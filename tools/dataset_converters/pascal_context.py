"""What the converters of PASCAL Context share: its lists of images and its ``.mat`` files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conversion_record import Record
from scipy.io import loadmat

from ovseg.datasets.lists import read_names
from ovseg.errors import DatasetError

NUM_CLASSES = 459
MAT_SOURCE = "trainval.tar.gz at https://www.cs.stanford.edu/~roozbeh/pascal-context/ holds it."


def image_list(root: Path, split: str) -> Path:
    """Where our datasets, as mmseg's, look for the names of a split."""
    return root / "ImageSets" / "SegmentationContext" / f"{split}.txt"


def image_names(root: Path, split: str, record: Path) -> list[str]:
    """Names of the images of a split, from the first list that is there.

    The devkit's own list of VOC2010 is the split of PASCAL Context as well.

    Args:
        root: Folder VOC2010.
        split: ``val`` or ``train``.
        record: The ``conversion.json`` of the tool that asks. A list that this tool wrote itself
            comes last: it repeats what another said then, which may have grown since.

    Raises:
        DatasetError: There is no list, or it cannot be used.
    """
    own = image_list(root, split)
    lists = (
        own,
        root / f"pascalcontext_{split}.txt",
        root / "ImageSets" / "Main" / f"{split}.txt",
    )
    ordered = (*lists[1:], own) if Record(record).wrote(own) else lists
    for path in ordered:
        if path.is_file():
            return read_names(path)
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
            f"LabelMap of {path} is not a map of numbers but {labels.dtype} of {labels.shape}; "
            f"fetch it again. {MAT_SOURCE}"
        )
    labels = labels.astype(np.int64)
    if labels.size and not 0 <= labels.min() <= labels.max() <= NUM_CLASSES:
        raise DatasetError(
            f"LabelMap of {path} holds {labels.min()} to {labels.max()}, not 0 to {NUM_CLASSES}; "
            f"fetch it again. {MAT_SOURCE}"
        )
    return labels
