"""Open-vocabulary segmentation: an image and some words in, a mask out."""

from ovseg.version import __version__

__all__ = ["__version__"]
