"""Importing this module registers every dataset and transform of the package."""

from ovseg.datasets.ade20k import ADE20K150, ADE20K847, ADE20KPanoptic150
from ovseg.datasets.augmentation import (
    ClassAreaCrop,
    LargeScaleJitter,
    RandomBrightness,
    RandomMirror,
    ResizeShortSide,
)
from ovseg.datasets.cityscapes import Cityscapes19, CityscapesPanoptic19
from ovseg.datasets.coco import COCOObject81, COCOPanoptic133, COCOStuff171
from ovseg.datasets.draws import EndlessSampler, SeededSamples
from ovseg.datasets.folder import FolderDataset
from ovseg.datasets.folder_panoptic import FolderPanopticDataset
from ovseg.datasets.images import ImageFolder
from ovseg.datasets.mapillary import MapillaryPanoptic65, MapillaryVistas65
from ovseg.datasets.panoptic_transforms import LoadPanoptic, PackPanoptic
from ovseg.datasets.pascal import (
    VOC20,
    VOC21,
    PascalContext59,
    PascalContext60,
    PascalContext459,
)
from ovseg.datasets.regions import GivenBoxes, GridBoxes, PackRegions
from ovseg.datasets.scenes.dataset import RenderScene, ScenesDataset, UnseenScenesDataset
from ovseg.datasets.segments import PackSegments
from ovseg.datasets.transforms import LoadImage, LoadMask

__all__ = [
    "ADE20K150",
    "ADE20K847",
    "VOC20",
    "VOC21",
    "ADE20KPanoptic150",
    "COCOObject81",
    "COCOPanoptic133",
    "COCOStuff171",
    "Cityscapes19",
    "CityscapesPanoptic19",
    "ClassAreaCrop",
    "EndlessSampler",
    "FolderDataset",
    "FolderPanopticDataset",
    "GivenBoxes",
    "GridBoxes",
    "ImageFolder",
    "LargeScaleJitter",
    "LoadImage",
    "LoadMask",
    "LoadPanoptic",
    "MapillaryPanoptic65",
    "MapillaryVistas65",
    "PackPanoptic",
    "PackRegions",
    "PackSegments",
    "PascalContext59",
    "PascalContext60",
    "PascalContext459",
    "RandomBrightness",
    "RandomMirror",
    "RenderScene",
    "ResizeShortSide",
    "ScenesDataset",
    "SeededSamples",
    "UnseenScenesDataset",
]
