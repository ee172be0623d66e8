"""Where the files of a benchmark lie: the arrangements that its users already have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Layout", "find_layout"]


@dataclass(frozen=True)
class Layout:
    """One arrangement of a dataset below its root.

    Attributes:
        img_path: Folder of the images.
        seg_map_path: Folder of the masks.
        ann_file: List of the images to use, one name a line without its suffix; empty where all
            of a folder are used.
        img_suffix: What images end in.
        seg_map_suffix: What masks end in, in place of the suffix of the image.
        reduce_zero_label: Raw 0 is void and raw k is class k - 1.
        from_masks: Where there is no list, the masks tell the images and not the other way round:
            the folder of images holds others too.
    """

    img_path: str
    seg_map_path: str
    ann_file: str = ""
    img_suffix: str = ".jpg"
    seg_map_suffix: str = ".png"
    reduce_zero_label: bool = False
    from_masks: bool = False

    def is_below(self, root: str | Path) -> bool:
        """Whether its folders and its list are there, and at least one mask."""
        root = Path(root)
        if self.ann_file and not (root / self.ann_file).is_file():
            return False
        return (root / self.img_path).is_dir() and self._has_mask(root / self.seg_map_path)

    def _has_mask(self, folder: Path) -> bool:
        # Masks may lie in subfolders, as those of Cityscapes do.
        return any(
            name.endswith(self.seg_map_suffix) for _, _, files in os.walk(folder) for name in files
        )


def find_layout(layouts: Sequence[Layout], root: str | Path | None) -> Layout:
    """The first layout that is there; the first of all where none is, for errors to speak of."""
    for layout in layouts:
        if layout.is_below(root or ""):
            return layout
    return layouts[0]
