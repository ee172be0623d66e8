"""Guides: encoders whose features tell which patches of a window are alike."""

from ovseg.dense.guides.clip import CLIPGuide
from ovseg.dense.guides.dino import DINOGuide
from ovseg.dense.guides.dinoiser import DINOiserGuide
from ovseg.dense.guides.sam import SAMGuide

__all__ = ["CLIPGuide", "DINOGuide", "DINOiserGuide", "SAMGuide"]
