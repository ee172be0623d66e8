"""Your own images and masks: two folders and a list of classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ovseg.datasets.base import SegmentationDataset
from ovseg.datasets.lists import read_lines
from ovseg.errors import DatasetError
from ovseg.registry import DATASETS

__all__ = ["FolderDataset", "class_file", "read_class_file", "read_class_words"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def read_class_file(path: str | Path) -> tuple[str, ...]:
    """Display names in a file of one class a line, synonyms behind the first separated by ``;``.

    Raises:
        DatasetError: The file is missing or names no class.
    """
    return tuple(words[0] for words in read_class_words(path))


def read_class_words(path: str | Path) -> list[list[str]]:
    """All words of each class in a file of classes, the display name first.

    Raises:
        DatasetError: The file is missing, cannot be read or names no class.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(
            f"File of classes {path} does not exist; write one class a line, its synonyms "
            "separated by ';'."
        )
    lines = read_lines(path, "File of classes")
    words = [[word.strip() for word in line.split(";")] for line in lines]
    if not words or not all(of_class[0] for of_class in words):
        raise DatasetError(f"File of classes {path} has no name in it; write one class a line.")
    return words


def class_file(classes: object, data_root: str | None) -> Path | None:
    """The file that ``classes`` names; None for a list.

    It is looked for below ``data_root`` first, which is also where it is missed.
    """
    if not isinstance(classes, (str, Path)):
        return None
    beside = Path(data_root or "") / classes
    return Path(classes) if Path(classes).is_file() and not beside.is_file() else beside


@DATASETS.register_module()
class FolderDataset(SegmentationDataset):
    """Images in one folder, masks of the same relative names in another.

    Masks are single-channel PNGs of class indices (8 or 16 bits, palettes are not applied); images
    may be of any usual kind and in subfolders.

    Args:
        classes: Names, or the path of a file of classes (relative to ``data_root`` if it lies
            there); the file is the vocabulary as well.
        data_root: Folder that holds both.
        data_prefix: ``img_path`` (default ``images``) and ``seg_map_path`` (default ``masks``).
        seg_map_suffix: What masks end in, in place of the suffix of the image.
        **kwargs: As for `SegmentationDataset`; ``ignore_index`` 255 is the void label, choose
            65535 or -1 where there are more than 255 classes.

    Raises:
        DatasetError: Something is missing, or two images share one mask.
    """

    def __init__(
        self,
        *,
        classes: Sequence[str] | str | Path,
        data_root: str | None = None,
        data_prefix: dict | None = None,
        metainfo: dict | None = None,
        vocabulary: str | None = None,
        **kwargs,
    ) -> None:
        path = class_file(classes, data_root)
        if path is not None:
            vocabulary = vocabulary or str(path)
            classes = read_class_file(path)
        super().__init__(
            data_root=data_root,
            data_prefix=data_prefix or dict(img_path="images", seg_map_path="masks"),
            metainfo=dict(metainfo or {}, classes=tuple(classes)),
            vocabulary=vocabulary,
            **kwargs,
        )

    def find_samples(self) -> list[dict]:
        """Samples of all images, in the order of their names."""
        image_dir, mask_dir = self.folder("img_path"), self.folder("seg_map_path")
        if self.ann_file:
            images = [image_dir / name for name in self._names_in_file()]
        else:
            images = sorted(p for p in image_dir.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        samples, owners = [], {}
        for image in images:
            mask = mask_dir / image.relative_to(image_dir).with_suffix("")
            mask = mask.with_name(mask.name + self.seg_map_suffix)
            if mask in owners:
                raise DatasetError(
                    f"Images {owners[mask]} and {image} share the mask {mask}; rename one of them."
                )
            owners[mask] = image
            samples.append(dict(img_path=str(image), seg_map_path=str(mask)))
        return samples
