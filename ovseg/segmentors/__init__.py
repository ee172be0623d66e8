"""Assembly of encoders, words and the five steps into models."""

from ovseg.segmentors.distillers import CLIPSelf, DINOiserDistiller, RegionCLIP
from ovseg.segmentors.fcclip import FCCLIP
from ovseg.segmentors.mask_preprocessor import MaskPreprocessor
from ovseg.segmentors.preprocessor import ImagePreprocessor
from ovseg.segmentors.protocol import Protocol
from ovseg.segmentors.region_classifier import RegionClassifier
from ovseg.segmentors.training_free import TrainingFreeSegmentor

__all__ = [
    "FCCLIP",
    "CLIPSelf",
    "DINOiserDistiller",
    "ImagePreprocessor",
    "MaskPreprocessor",
    "Protocol",
    "RegionCLIP",
    "RegionClassifier",
    "TrainingFreeSegmentor",
]
