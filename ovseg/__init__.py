"""Open-vocabulary segmentation: an image and some words in, a mask out."""

from ovseg import compat
from ovseg.version import __version__

compat.install()

__all__ = ["__version__"]
