"""Training of towers that segmentors read."""

from ovseg.segmentors.distillers.clipself import CLIPSelf
from ovseg.segmentors.distillers.preprocessor import RegionPreprocessor
from ovseg.segmentors.distillers.regionclip import RegionCLIP

__all__ = ["CLIPSelf", "RegionCLIP", "RegionPreprocessor"]
