"""Importing this module registers every dataset and transform of the package."""

from ovseg.datasets.ade20k import ADE20K150
from ovseg.datasets.cityscapes import Cityscapes19
from ovseg.datasets.coco import COCOPanoptic133, COCOStuff171
from ovseg.datasets.folder import FolderDataset
from ovseg.datasets.scenes.dataset import RenderScene, ScenesDataset, UnseenScenesDataset
from ovseg.datasets.transforms import LoadImage, LoadMask

__all__ = [
    "ADE20K150",
    "COCOPanoptic133",
    "COCOStuff171",
    "Cityscapes19",
    "FolderDataset",
    "LoadImage",
    "LoadMask",
    "RenderScene",
    "ScenesDataset",
    "UnseenScenesDataset",
]
