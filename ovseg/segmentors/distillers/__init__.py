"""Models that are trained to say themselves what other models say."""

from ovseg.segmentors.distillers.dinoiser import DINOiserDistiller

__all__ = ["DINOiserDistiller"]
