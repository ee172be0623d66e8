"""Models that are trained to say themselves what other models say."""

from ovseg.segmentors.distillers.clipself import CLIPSelf
from ovseg.segmentors.distillers.dinoiser import DINOiserDistiller
from ovseg.segmentors.distillers.preprocessor import RegionPreprocessor
from ovseg.segmentors.distillers.regionclip import RegionCLIP

__all__ = ["CLIPSelf", "DINOiserDistiller", "RegionCLIP", "RegionPreprocessor"]
